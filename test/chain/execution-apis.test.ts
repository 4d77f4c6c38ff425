/**
 * The test chain of the execution API specification, from genesis to head: every kind of transaction, and every fork from Frontier
 * to Osaka within 54 blocks, taken by the program's own follower.
 *
 * Its chain id is larger than the column that holds chain ids: the node serves it under another one, and what depends on the id
 * (authorizations) is tested apart, without a database of rows.
 */
import type { Hex } from 'viem'
import { expect, it, onTestFinished } from 'vitest'
import type { Chain } from '../../src/core/chain.ts'
import { createJsonRpcSource } from '../../src/source/json-rpc.ts'
import { matchBlocks } from '../../src/steps/match.ts'
import { approvalRows, describeRow, expectSameRows, isOfTransaction, tokenRows } from '../support/compare-rows.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import {
  addressesOf,
  approvalRowsOf,
  outcomeOf,
  tokenTransfersOf,
  transactionRowsOf,
  rowsOfTransfer,
} from '../support/expected-rows.ts'
import { needFixtures, readFixtureLines, readRecordedAnswer } from '../support/fixtures.ts'
import { enlist, followToHead, readActivities, withContext } from '../support/program.ts'
import { prepareChain, type ReplayBlock, type RpcBlock, type RpcReceipt } from '../support/replay-chain.ts'
import { type Answer, type ReplayNode, startReplayNode } from '../support/replay-node.ts'

const OWN_CHAIN_ID = 3_503_995_874_084_926
const HEAD = 54
/** Who signed the authorization in block 45. */
const AUTHORITY: Hex = '0xeda8645ba6948855e3b3cd596bbb07596d59c603'
const CHAIN: Chain = {
  id: 1337,
  name: 'execution-apis',
  label: 'execution-apis',
  confirmations: 1,
  startBlock: 0,
  blockTimeSeconds: 10,
  droppedAfterSeconds: 86_400,
  mempool: 'auto',
  verification: 'basic',
  tiers: [],
  nativeToken: { symbol: 'ETH', decimals: 18 },
  tokens: new Map(),
  rules: new Map(),
}

type Complete = { readonly block: RpcBlock; readonly receipts: readonly RpcReceipt[] }

function readChain(): Complete[] {
  const genesis = readRecordedAnswer('execution-apis/tests/eth_getBlockByNumber/get-genesis.io') as RpcBlock
  return [{ block: genesis, receipts: [] }, ...(readFixtureLines('execution-apis/chain.ndjson') as Complete[])]
}

it('is followed from genesis to head: the checkpoint is at the head, and every row is what its block means', async context => {
  needFixtures(context)
  const blocks = readChain()
  const { database, node } = await prepareWorld(blocks)
  const steps = await follow(database, node)
  expect(steps).toEqual(['advanced', 'advanced', 'idle'])
  expect(await readPlace(database)).toEqual([`${HEAD} ${blocks.at(-1)?.block.hash}`, `covered 0 to ${HEAD}`])

  const rows = await readActivities(database)
  const receipts = blocks.flatMap(each => each.receipts)
  expectSameRows(
    rows.filter(isOfTransaction).map(describeRow),
    blocks.flatMap(each => transactionRowsOf(each.block, each.receipts)),
  )
  expectSameRows(tokenRows(rows), tokenTransfersOf(receipts, new Set()).flatMap(rowsOfTransfer))
  expectSameRows(approvalRows(rows), approvalRowsOf(receipts))
  const hashes = new Map(blocks.map(({ block }) => [Number(block.number), block.hash]))
  expect(rows.filter(row => hashes.get(row.blockNumber) !== row.blockHash)).toEqual([])
})

it('every transaction whose outcome is known has a row of its sender, confirmed or failed, and the others have none', async context => {
  needFixtures(context)
  const blocks = readChain()
  const { database, node } = await prepareWorld(blocks)
  await follow(database, node)
  const stored = await database.sql<{ text: string }[]>`
    select concat_ws(' ', t.tx_hash, u.wallet_address, t.status, t.block_number, extract(epoch from t."timestamp")::bigint) as text
    from user_transactions t join users u on u.id = t.user_id`
  const outcomes = outcomesOf(blocks)
  const expected = outcomes.flatMap(({ block, transaction, outcome }) =>
    outcome === 'unknown'
      ? []
      : [
          [
            transaction.hash,
            transaction.from,
            outcome === 'succeeded' ? 'confirmed' : 'failed',
            Number(block.number),
            Number(block.timestamp),
          ].join(' '),
        ],
  )
  expect(stored.map(({ text }) => text).toSorted()).toEqual(expected.toSorted())

  const reverted = (await readActivities(database)).filter(({ type }) => type === 'TRANSACTION_REVERTED')
  const failed = blocks.flatMap(({ receipts }) => receipts).filter(({ status }) => status === '0x0')
  expect(failed.length).toBeGreaterThan(0)
  expect(reverted.map(({ transactionHash }) => transactionHash)).toEqual(
    failed.map(({ transactionHash }) => transactionHash),
  )
})

it('a node without eth_getBlockReceipts is asked for logs and the receipts that they leave open, and the rows are the same', async context => {
  needFixtures(context)
  const blocks = readChain()
  const whole = await prepareWorld(blocks)
  await follow(whole.database, whole.node)
  const { database, node } = await prepareWorld(blocks)
  node.switchOff('eth_getBlockReceipts')
  await follow(database, node)
  expect(await readActivities(database)).toEqual(await readActivities(whole.database))
  expect(await readPlace(database)).toEqual(await readPlace(whole.database))

  const { methods } = node.counters()
  expect(methods['eth_getTransactionReceipt']).toBeGreaterThan(0)
  expect(methods['eth_getTransactionReceipt']).toBeLessThan(blocks.flatMap(({ block }) => block.transactions).length)
  expect(methods['eth_getLogs']).toBe(blocks.length)
  // Blocks that are asked for at the same time learn of it together; after them nobody asks again.
  expect(methods['eth_getBlockReceipts']).toBeLessThanOrEqual(8)
  expect(whole.node.counters().methods['eth_getTransactionReceipt']).toBeUndefined()
})

it('the authorization in block 45 took effect: the signer has the code that a real node showed afterwards', async context => {
  needFixtures(context)
  const code = readRecordedAnswer('execution-apis/tests/eth_getCode/get-code-eip7702-delegation.io') as string
  const delegate = `0x${code.slice('0xef0100'.length)}`
  const expected = {
    activityType: 'DELEGATION',
    walletAddress: AUTHORITY,
    metadata: { delegate, authorization_index: 0 },
  }
  const { activities, questions } = await matchAuthorization(() => 0)
  expect(activities).toMatchObject([expected])
  expect(activities[0]?.metadata).not.toHaveProperty('unproven')
  expect(questions).toBe(1)
})

it('where the state is pruned, the authorization is kept as unproven; with another nonce it is none', async context => {
  needFixtures(context)
  expect((await matchAuthorization(() => null)).activities).toMatchObject([{ metadata: { unproven: true } }])
  expect((await matchAuthorization(() => 1)).activities).toEqual([])
})

/** Block 45 on the chain id that its authorization is for; only its signer is asked about, and nothing is written. */
async function matchAuthorization(nonce: () => number | null) {
  const { database, node } = await prepareWorld(readChain(), { chainId: OWN_CHAIN_ID, nonce })
  const chain = { ...CHAIN, id: OWN_CHAIN_ID }
  const { activities } = await withContext({ database, url: node.url, chain }, async program => {
    const { signal } = new AbortController()
    const block = await program.source.block(45, signal)
    return matchBlocks(program, [block], { sought: new Set(), only: new Set([AUTHORITY]) }, signal)
  })
  return { activities, questions: node.counters().methods['eth_getTransactionCount'] }
}

it('the same authorization means nothing on a chain with another id', async context => {
  needFixtures(context)
  const { database, node } = await prepareWorld(readChain())
  await follow(database, node)
  expect((await readActivities(database)).filter(({ type }) => type === 'DELEGATION')).toEqual([])
})

it('the replay node answers a batch in order, null for what is not there, and refuses methods that it does not have', async context => {
  needFixtures(context)
  const { node } = await prepareWorld(readChain())
  const batch = ['eth_blockNumber', 'eth_chainId', 'debug_traceBlockByNumber', 'eth_getBlockByNumber'].map(
    (method, id) => ({
      jsonrpc: '2.0',
      id,
      method,
      params: method === 'eth_getBlockByNumber' ? ['0x37', false] : [],
    }),
  )
  const response = await fetch(node.url, { method: 'POST', body: JSON.stringify(batch) })
  expect(await response.json()).toMatchObject([
    { id: 0, result: '0x36' },
    { id: 1, result: '0x539' },
    { id: 2, error: { code: -32_601 } },
    { id: 3, result: null },
  ])
  expect(node.counters()).toMatchObject({ requests: 1, methods: { eth_chainId: 1, eth_blockNumber: 1 } })
})

it('a source refuses a node that serves another chain', async context => {
  needFixtures(context)
  const { node } = await prepareWorld(readChain())
  const source = createJsonRpcSource({ chainId: 1, urls: [node.url], displayUrl: () => 'the replay node' })
  await expect(source.head(new AbortController().signal)).rejects.toMatchObject({
    code: 'RPC_UNAVAILABLE',
    cause: { code: 'RPC_WRONG_CHAIN' },
  })
})

it('a source asks again after an error page, a torn connection and a refusal, and takes the answer that comes then', async context => {
  needFixtures(context)
  const { node } = await prepareWorld(readChain())
  const faults: Answer[] = [
    { kind: 'http', status: 503, body: '<html>try later</html>', headers: { 'content-type': 'text/html' } },
    { kind: 'disconnect' },
    { kind: 'error', code: -32_603, message: 'internal error' },
  ]
  node.setHook((_request, answer) => faults.shift() ?? answer())
  const source = createJsonRpcSource({ chainId: CHAIN.id, urls: [node.url], displayUrl: () => 'the replay node' })
  expect(await source.head(new AbortController().signal)).toMatchObject({ number: HEAD })
  expect(source.health()).toMatchObject([{ errors: 3, healthy: true }])
})

// ── A node, a database, the follower ─────────────────────────────────────────────────────────────────────────────────────

type World = { readonly database: TestDatabase; readonly node: ReplayNode }

/** Every address of the chain is a user's. */
async function prepareWorld(
  blocks: readonly Complete[],
  { chainId = CHAIN.id, nonce }: { readonly chainId?: number; readonly nonce?: () => number | null } = {},
): Promise<World> {
  const database = await createDatabase()
  onTestFinished(() => database.drop())
  const node = await startReplayNode({
    chainId,
    chain: prepareChain(blocks satisfies readonly ReplayBlock[]),
    ...(nonce === undefined ? {} : { nonce }),
  })
  onTestFinished(() => node.close())
  const addresses = new Set(blocks.flatMap(({ block, receipts }) => addressesOf(block, receipts)))
  await enlist(database, [...addresses])
  return { database, node }
}

async function follow(database: TestDatabase, { url }: ReplayNode): Promise<string[]> {
  const results = await withContext({ database, url, chain: CHAIN }, followToHead)
  return results.map(({ kind }) => kind)
}

/** The checkpoint, and what is complete. */
async function readPlace({ sql }: TestDatabase): Promise<string[]> {
  const rows = await sql<{ text: string }[]>`
    select concat_ws(' ', block_number, block_hash) as text from indexer.checkpoints
    union all select concat_ws(' ', 'covered', from_block, 'to', to_block) from indexer.coverage`
  return rows.map(({ text }) => text)
}

function outcomesOf(blocks: readonly Complete[]) {
  return blocks.flatMap(({ block, receipts }) =>
    block.transactions.map((transaction, index) => {
      const receipt = receipts[index]
      if (receipt === undefined) throw new RangeError(`there is no receipt of ${transaction.hash}`)
      return { block, transaction, outcome: outcomeOf(transaction, receipt) }
    }),
  )
}
