/**
 * Ways to break the daemon on purpose, one at a time, and which tests have to notice.
 *
 * Each replaces a piece of source that is there exactly once. What is listed under `tests` is where somebody would look first; the
 * simulation is tried as well.
 */

export type Mutant = {
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
  /** Files of tests of which at least one must fail. */
  readonly tests: readonly string[]
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'the checkpoint is committed before the rows, in a transaction of its own',
    file: 'src/store/commit.ts',
    find: `    await holdRegistry(tx, step.registryVersion)
    await moveCheckpoint(tx, move)
    await extendWindow(tx, chain.id, step.headers, move.finalizedNumber)`,
    replace: `    await holdRegistry(tx, step.registryVersion)
    await inTransaction(sql, async other => {
      await moveCheckpoint(other, move)
      await extendWindow(other, chain.id, step.headers, move.finalizedNumber)
    })`,
    tests: ['test/store/commit.test.ts'],
  },
  {
    name: 'depth is counted from the head that the node claims',
    file: 'src/steps/advance.ts',
    find: 'checkpointNumber: last.number,',
    replace: 'checkpointNumber: Math.max(head.number, last.number),',
    tests: ['test/chain/fork.test.ts'],
  },
  {
    name: 'a transaction is confirmed by the height of its block, whatever hash is there',
    file: 'src/store/commit.ts',
    find: 'if (checkpoint?.passed) return own === undefined ? checkpoint.final : own.hash === block.hash',
    replace: 'if (checkpoint?.passed) return true',
    tests: ['test/store/sought.test.ts'],
  },
  {
    name: 'a reorg leaves what is known of orphaned transactions',
    file: 'src/store/commit.ts',
    find: 'const elsewhere = await orphanTransactions(tx, chain.id, above)',
    replace: 'const elsewhere: Hash[] = []',
    tests: ['test/store/rewind.test.ts'],
  },
  {
    name: 'one null answer means that the transaction failed',
    file: 'src/steps/unseen.ts',
    find: 'if (!isSurveyDue({ ...unseen, isClaimed, droppedAfterSeconds })) return null',
    replace: "if (contexts.length > 0) return (await store.commitDropped(hash, [])) ? 'dropped' : null",
    tests: ['test/chain/unseen.test.ts', 'test/chain/adoption.test.ts'],
  },
  {
    name: 'the word of one endpoint is enough for dropped',
    file: 'src/core/unseen.ts',
    find: "says.every(word => word === 'none')",
    replace: "says.some(word => word === 'none')",
    tests: ['test/core/unseen.test.ts'],
  },
  {
    name: 'one survey is enough for dropped',
    file: 'src/core/unseen.ts',
    find: 'surveys >= SURVEYS',
    replace: 'surveys >= 1',
    tests: ['test/core/unseen.test.ts'],
  },
  {
    name: 'a writer does not compare its fencing number',
    file: 'src/store/lease.ts',
    find: `    for key share\`
  if (rows.length === 0) {`,
    replace: `    for key share\`
  if (rows.length < 0) {`,
    tests: ['test/store/lease.test.ts', 'test/chain/failover.test.ts'],
  },
  {
    name: 'after a start the first block is not compared with the checkpoint',
    file: 'src/steps/advance.ts',
    find: 'const broken = findBreak(checkpoint, blocks)',
    replace: 'const broken = findBreak(null, blocks)',
    tests: ['test/chain/follow.test.ts'],
  },
  {
    name: 'rows of the application are looked for when NOTIFY tells, and only then',
    file: 'src/jobs/schedule.ts',
    find: `const EVERY_MINUTE = '17 * * * * *'
const SWEEP_EVERY_BEATS = 2`,
    replace: `const EVERY_MINUTE = '0 0 0 29 2 *'
const SWEEP_EVERY_BEATS = 1_000_000`,
    tests: ['test/chain/adoption.test.ts'],
  },
  {
    name: 'the set of wallets may change between matching and committing',
    file: 'src/store/registry.ts',
    find: 'if (Number(row?.version) !== version) {',
    replace: 'if (Number(row?.version) < version) {',
    tests: ['test/store/wallets.test.ts'],
  },
  {
    name: 'a commit does not look where the checkpoint is',
    file: 'src/store/checkpoint.ts',
    find: 'where chain_id = ${chainId} and block_hash = ${expectedHash} and',
    replace: 'where chain_id = ${chainId} and',
    tests: ['test/store/commit.test.ts'],
  },
  {
    name: 'deriving a row again does not wait for the settling of its block',
    file: 'src/store/transactions.ts',
    find: 'where tx_hash = any(${hashes}::text[]) order by tx_hash, chain_id for update`',
    replace: 'where tx_hash = any(${hashes}::text[]) order by tx_hash, chain_id`',
    tests: ['test/store/settle-race.test.ts'],
  },
  {
    name: 'a replacement stays decided though a reorg took its block',
    file: 'src/store/commit.ts',
    find: '    await reopenReplaced(tx, chain.id, above)\n',
    replace: '',
    tests: ['test/chain/unseen.test.ts'],
  },
  {
    name: 'a reorg is believed from one endpoint',
    file: 'src/core/lineage.ts',
    find: "  if (goesOn(ours)) return 'stay'\n",
    replace: "  if (others.length > 0) return 'leave'\n",
    tests: ['test/core/lineage.test.ts', 'test/chain/fork.test.ts'],
  },
  {
    name: 'nobody else is asked before a status is decided',
    file: 'src/steps/dispute.ts',
    find: 'if (source.health().length < 2 ||',
    replace: 'if (source.health().length > 0 ||',
    tests: ['test/chain/fork.test.ts'],
  },
  {
    name: 'receipts are not compared with the block that they are said to be of',
    file: 'src/core/validate.ts',
    find: `problemOfReceipts(block, receipts)
  if (problem !== null)`,
    replace: `problemOfReceipts(block, receipts)
  if (problem !== null && number < 0)`,
    tests: ['test/core/validate.test.ts'],
  },
  {
    name: 'a block without the transactions that its header promises is believed',
    file: 'src/core/validate.ts',
    find: 'EMPTY_ROOTS.has(block.transactionsRoot) !== isEmpty',
    replace: 'EMPTY_ROOTS.has(block.transactionsRoot) && !isEmpty',
    tests: ['test/core/validate.test.ts'],
  },
  {
    name: 'logs are numbered by a list that holds others',
    file: 'src/core/validate.ts',
    find: 'own.length === logs.length && own.every',
    replace: 'own.every',
    tests: ['test/core/validate.test.ts'],
  },
]
