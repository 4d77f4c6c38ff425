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
    find: 'await takePlace(tx, step)',
    replace: 'await inTransaction(sql, other => takePlace(other, step))',
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
    file: 'src/store/guard.ts',
    find: 'and holder = ${lease.holder} and fencing = ${lease.fencing} for key share',
    replace: 'for key share',
    tests: ['test/store/commit.test.ts', 'test/store/lease.test.ts', 'test/chain/failover.test.ts'],
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
    file: 'src/store/guard.ts',
    find: 'if (Number(held.version) !== registryVersion)',
    replace: 'if (Number(held.version) < registryVersion)',
    tests: ['test/store/commit.test.ts', 'test/store/wallets.test.ts'],
  },
  {
    name: 'of two users with one address any is taken for the owner',
    file: 'src/store/comparison.ts',
    find: 'order by ${addressOf(tx)}, created_at nulls last, id',
    replace: 'order by ${addressOf(tx)}, id',
    tests: ['test/store/comparison.test.ts'],
  },
  {
    name: 'who is gone from users is not looked for in the set',
    file: 'src/store/comparison.ts',
    find: 'when u.address is null then k.user_id is not null or',
    replace: 'when u.address is null then false and',
    tests: ['test/store/comparison.test.ts'],
  },
  {
    name: 'what is asked of the rounds is forgotten',
    file: 'src/wallets/registry.ts',
    find: 'if (!areFew && clock.monotonic() - foundAt > EXPLAINED_MS) isAsked = true',
    replace: 'if (areFew) isAsked = true',
    tests: ['test/store/comparison.test.ts'],
  },
  {
    name: 'taking out a wallet cuts off those behind it',
    file: 'src/core/wallet-set.ts',
    find: '    if (!isReachable) continue',
    replace: '    if (isReachable) continue',
    tests: ['test/core/wallet-set.test.ts'],
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
    file: 'src/store/inclusions.ts',
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
  {
    name: 'a list of logs is believed without its bloom filter',
    file: 'src/core/validate.ts',
    find: "return bloomOf(logs) === block.logsBloom ? null : 'the logs are not those that the header promises'",
    replace: 'return null',
    tests: ['test/core/validate.test.ts'],
  },
  {
    name: 'a list of logs is sieved without the bloom filter of its block',
    file: 'src/source/sieving.ts',
    find: "if (!isFilterOf(digest.filter, logsBloom)) return { kind: 'unfit' }",
    replace: '',
    tests: ['test/core/source/sieving.test.ts', 'test/chain/history.test.ts'],
  },
  {
    name: 'logs that name somebody keep no transaction',
    file: 'src/source/sieving.ts',
    find: 'if (group.logs !== null) kept[group.transactionIndex] = true',
    replace: '',
    tests: ['test/core/source/sieving.test.ts'],
  },
  {
    name: 'who is linked while history is fetched is not noted as lacking it',
    file: 'src/store/commit.ts',
    find: 'piece.sievedVersion !== piece.registryVersion',
    replace: 'false',
    tests: ['test/chain/linked-midway.test.ts'],
  },
  {
    name: 'receipts are asked for of nobody, where logs are there',
    file: 'src/core/interest.ts',
    find: 'return !isKnown && concerns(transaction, interest) ? [index] : []',
    replace: 'return []',
    tests: ['test/core/interest.test.ts', 'test/chain/history.test.ts'],
  },
  {
    name: 'an endpoint that said how long to leave it alone is asked all the same',
    file: 'src/source/standing.ts',
    find: 'barredUntil = Math.max(barredUntil, now + (askedMs ?? own))',
    replace: 'barredUntil = Math.max(barredUntil, now)',
    tests: ['test/chain/endpoints.test.ts'],
  },
  {
    name: 'a silent endpoint is waited for, whoever else there is',
    file: 'src/source/pool.ts',
    find: 'let hedgeMs = endpoints.length > 1 ?',
    replace: 'let hedgeMs = endpoints.length > 99 ?',
    tests: ['test/chain/endpoints.test.ts'],
  },
  {
    name: 'the pace is never lowered',
    file: 'src/source/limiter.ts',
    find: 'pace = slowDown(pace, measured(), clock.monotonic())',
    replace: 'measured()',
    tests: ['test/core/source/limiter.test.ts', 'test/chain/nodes-throttle.test.ts'],
  },
  {
    name: 'another chain behind the same address is followed',
    file: 'src/source/witness.ts',
    find: "endpoint.chainVerified &&= witness.shows === 'ours'",
    replace: 'endpoint.chainVerified &&= true',
    tests: ['test/chain/nodes-head.test.ts'],
  },
  {
    name: 'the beginning of an answer that is no JSON is told, a key in it included',
    file: 'src/source/failure.ts',
    find: "? 'what was answered is not valid JSON'",
    replace: '? text',
    tests: ['test/chain/nodes-stall.test.ts'],
  },
  {
    name: 'roots are proved of nothing',
    file: 'src/source/blocks.ts',
    find: "if (level === 'basic') return joined",
    replace: "if (level !== 'full' || joined !== null) return joined",
    tests: ['test/chain/full-verification.test.ts'],
  },
  {
    name: 'one endpoint alone may say that a block is newer than the code',
    file: 'src/source/json-rpc.ts',
    find: 'claim.endpoints.size >= Math.min(CLAIMANTS, urls.length)',
    replace: 'claim.endpoints.size >= 1',
    tests: ['test/chain/full-verification.test.ts'],
  },
  {
    name: 'a chain on which no block comes is ready',
    file: 'src/status.ts',
    find: 'if (stall !== null) return',
    replace: 'if (stall !== null && name === stall) return',
    tests: ['test/chain/nodes-head.test.ts'],
  },
  {
    name: 'a websocket that fell silent is listened to for ever',
    file: 'src/source/heads.ts',
    find: 'watcher.silenceMs - (clock.monotonic() - heardAt)',
    replace: '3_600_000 - (clock.monotonic() - heardAt)',
    tests: ['test/chain/websocket.test.ts'],
  },
  {
    name: 'backfill spends the budget of live following',
    file: 'src/core/budget.ts',
    find: "if (priority === 'live') return left",
    replace: "if (priority === 'live' || left > 0) return left",
    tests: ['test/core/budget.test.ts', 'test/chain/endpoints.test.ts'],
  },
  {
    name: 'a nonce above 0 without code at the end proves a key',
    file: 'src/core/native-history.ts',
    find: "isKey = endCode === 'delegated'",
    replace: "isKey = endCode !== 'code'",
    tests: ['test/core/native-history.test.ts', 'test/chain/native-history.test.ts'],
  },
  {
    name: 'equal ends prove that a delegated account rested',
    file: 'src/core/native-history.ts',
    find: "if (code === 'delegated') return 'delegated'",
    replace: '',
    tests: ['test/core/native-history.test.ts', 'test/chain/native-history.test.ts'],
  },
  {
    name: 'equal ends prove that an address without a nonce rested',
    file: 'src/core/native-history.ts',
    find: "return nonce > 0 || isKey ? null : 'could-be-contract'",
    replace: 'return null',
    tests: ['test/core/native-history.test.ts', 'test/chain/native-history.test.ts'],
  },
  {
    name: 'old states are believed of whoever tells them',
    file: 'src/source/account-control.ts',
    find: 'before <= BigInt(nonce) && after > BigInt(nonce)',
    replace: 'after > BigInt(nonce)',
    tests: ['test/chain/native-history.test.ts'],
  },
  {
    name: 'the past of a wallet: what only the second endpoint tells does not count',
    file: 'src/source/filtered-logs.ts',
    find: 'const all = [...new Set([...found, ...other])]',
    replace: 'const all = [...found]',
    tests: ['test/chain/onboarding.test.ts'],
  },
  {
    name: 'the past of a wallet: a log that the filter should have told of is passed over',
    file: 'src/steps/onboard-filtered.ts',
    find: 'if (named.has(block.number)) return',
    replace: 'if (block.number >= 0) return',
    tests: ['test/chain/onboarding.test.ts'],
  },
  {
    name: 'the past of a wallet: a transaction where its account is said to rest is passed over',
    file: 'src/steps/onboard-filtered.ts',
    find: 'if (isPlaced && movesNative(block, wallet))',
    replace: 'if (block.number < 0)',
    tests: ['test/chain/onboarding.test.ts'],
  },
  {
    name: 'the past of a wallet: two take the same one',
    file: 'src/store/onboarding.ts',
    find: `      where \${isFree(sql)}
    returning`,
    replace: '    returning',
    tests: ['test/chain/onboarding-faults.test.ts'],
  },
  {
    name: 'the past of a wallet: blocks are taken that are not final',
    file: 'src/steps/onboard.ts',
    find: 'const to = Math.min(checkpoint.finalizedNumber, checkpoint.number)',
    replace: 'const to = checkpoint.number',
    tests: ['test/chain/onboarding.test.ts'],
  },
  {
    name: 'the past of a wallet: it goes on although the wallet was unlinked',
    file: 'src/steps/onboard-filtered.ts',
    find: 'const wallets = piece.wallets.filter(registry.isTracked)',
    replace: 'const wallets = piece.wallets',
    tests: ['test/chain/onboarding.test.ts'],
  },
  {
    name: 'a piece is copied though the application has rows for it',
    file: 'src/store/fresh.ts',
    find: `
      or exists (select 1 from user_transactions where lower(tx_hash) = any($1::text[])) as known`,
    replace: ' as known',
    tests: ['test/store/fresh.test.ts'],
  },
  {
    name: 'a piece is copied though another chain has its transactions',
    file: 'src/store/fresh.ts',
    find: `exists (select 1 from indexer.inclusions where tx_hash = any($1::text[]))
      or `,
    replace: '',
    tests: ['test/store/fresh.test.ts'],
  },
  {
    name: 'a copy that is refused after its last byte is waited for',
    file: 'src/store/copy.ts',
    find: '}).reject = reject',
    replace: '}).reject ??= reject',
    tests: ['test/store/copy.test.ts'],
  },
  {
    name: 'two that add to the coverage of a chain do not wait for each other',
    file: 'src/store/coverage.ts',
    find: `  await lockCoverage(tx, chainId)
  const extended`,
    replace: '  const extended',
    tests: ['test/store/coverage.test.ts'],
  },
  {
    name: 'a row that was overwritten counts as one that stands as it should',
    file: 'src/store/transaction-rows.ts',
    find: '    stored.status === row.status &&',
    replace: '',
    tests: ['test/store/sought.test.ts', 'test/store/rewind.test.ts'],
  },
]
