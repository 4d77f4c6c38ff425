/**
 * The same test against several programs that speak JSON-RPC: whatever a node leaves out, words in its own way or answers in another
 * shape, the rows are the same.
 *
 * Always holds: what a node lacks stands in the title, and a test asks whether it is so; nothing is left out in silence. Transactions
 * are signed beforehand, so what has to come out is written down once for all nodes (`support/nodes/story.ts`), and the blocks of each
 * are derived again by `verify` besides.
 */
import { afterEach, beforeAll, describe, expect, type TestContext, test } from 'vitest'
import { type Contracts, compileContracts } from '../../src/demo/compile.ts'
import { openWorkplace } from '../support/command-line.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { createIndexer, type Indexer, testChain } from '../support/indexer.ts'
import { startAnvilNode } from '../support/nodes/anvil.ts'
import { startEthereumjsNode } from '../support/nodes/ethereumjs.ts'
import { startHardhatNode } from '../support/nodes/hardhat.ts'
import { installNodes, needNodes } from '../support/nodes/install.ts'
import { CHAIN_ID, type TestNode } from '../support/nodes/node.ts'
import { askOffers, OFFERS, type Offer } from '../support/nodes/offers.ts'
import { ALICE, BOB, CAROL, LDAO, type Signed, send, signTransfer, writeStory } from '../support/nodes/story.ts'

const INSTALL_DEADLINE_MS = 300_000
const CONFIRMATIONS = 3
const CHAIN_FILE = {
  id: CHAIN_ID,
  name: 'local',
  rpc: { env: 'LOCAL_RPC_URL' },
  confirmations: CONFIRMATIONS,
  startBlock: 0,
  blockTimeSeconds: 0.2,
  mempool: 'poll',
  nativeToken: { symbol: 'ETH', decimals: 18 },
  tokens: [{ address: LDAO, symbol: 'LDAO', decimals: 18, kind: 'erc20' }],
}
const USERS = [
  { id: '00000000-0000-4000-8000-00000000000a', wallet: ALICE },
  { id: '00000000-0000-4000-8000-00000000000b', wallet: BOB },
] as const
const NAMES: Readonly<Record<string, string>> = { [ALICE]: 'alice', [BOB]: 'bob', [CAROL]: 'carol' }

type Server = {
  readonly name: string
  readonly lacks: readonly Offer[]
  readonly start: (context: TestContext) => Promise<TestNode>
}
const SERVERS: readonly Server[] = [
  {
    name: 'Anvil',
    lacks: ['bodies of pending transactions by filter'],
    start: () => startAnvilNode(),
  },
  {
    name: "Hardhat's node",
    lacks: [
      'eth_getBlockReceipts',
      'a finalized block below its head',
      'bodies of pending transactions by subscription',
      'bodies of pending transactions by filter',
      'txpool_content',
    ],
    start: async context => startHardhatNode(await needNodes(context)),
  },
  {
    name: 'the EthereumJS client',
    lacks: [
      'true log numbers in eth_getBlockReceipts',
      'bodies of pending transactions by subscription',
      'bodies of pending transactions by filter',
      'hashes of pending transactions by filter',
      'EIP-7702 authorizations',
    ],
    start: async context => startEthereumjsNode(await needNodes(context)),
  },
]

let contracts: Contracts

beforeAll(async () => {
  ;[contracts] = await Promise.all([compileContracts(), installNodes()])
}, INSTALL_DEADLINE_MS)

const opened: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close()
})

for (const server of SERVERS) {
  describe(`${server.name}, without: ${server.lacks.join('; ')}`, () => {
    const hasFinality = has(server, 'a finalized block below its head')

    test('lacks what the title says, and nothing else', async context => {
      const node = await openNode(server, context)
      const offered = await askOffers(node, contracts)
      expect(OFFERS.filter(offer => !offered.includes(offer))).toEqual(server.lacks)
    })

    test.for(['http', 'websocket'] as const)(
      'over %s: rows and statuses are right block by block, backfill makes the same rows, verify finds no difference',
      async (transport, context) => {
        const node = await openNode(server, context)
        const url = transport === 'http' ? node.url : node.socketUrl
        const story = await writeStory(contracts, has(server, 'EIP-7702 authorizations'))
        const database = await openDatabase()
        const scene: Scene = { node, database, indexer: openIndexer(database, url), mined: [] }
        scene.indexer.start({ jobs: true })
        for (const transactions of story.blocks) {
          await send(node, transactions)
          await mineAndCheck(scene, transactions)
        }
        await claim(database, story.foreign, 'pending')
        await scene.indexer.until('what was mined before is confirmed', async () =>
          (await readStatuses(database)).includes(`${story.foreign.hash} confirmed`),
        )
        scene.mined.push({ ...story.foreign, isOfUser: true, block: 1 })

        const [claimed, seen] = [await story.transfer('bob', ALICE, '2'), await story.transfer('alice', BOB, '3')]
        await claim(database, claimed, 'pending')
        await send(node, [claimed, seen])
        await scene.indexer.until('the other one is shown before a block has it', async () =>
          (await readStatuses(database)).includes(`${seen.hash} pending`),
        )
        await scene.indexer.until(
          'the mempool is watched in the best way',
          async () => wayOf(scene.indexer) === bestWay(server, transport),
        )
        await mineAndCheck(scene, [claimed, seen])
        for (let depth = 1; depth < CONFIRMATIONS; depth += 1) await mineAndCheck(scene, [])
        const expected = [...story.activities, ...LAST_ACTIVITIES].toSorted()
        expect(await readActivities(database)).toEqual(expected)
        await node.finalise()
        await scene.indexer.untilHead()
        await scene.indexer.stop()
        const head = Number(await node.rpc('eth_blockNumber'))
        await expectVerified(database, url, head)

        const filled = await openDatabase()
        const lastBlock = scene.mined.at(-1)?.block ?? 0
        await openIndexer(filled, url).backfill({ from: 0, to: lastBlock })
        expect(await readActivities(filled)).toEqual(expected)
        const ofApplication = [claimed, story.foreign]
        expect(await readWhole(filled, ofApplication)).toEqual(await readWhole(database, ofApplication))
        // What the application inserted itself keeps its event type; the facts are the chain's all the same.
        expect(await readFacts(filled, claimed)).toEqual(await readFacts(database, claimed))
      },
    )

    test(
      hasFinality
        ? 'a chain that goes on another way from an earlier block is followed there'
        : 'a chain that goes on another way from an earlier block stands still, because all was final, until a person accepts it',
      async context => {
        const node = await openNode(server, context)
        const database = await openDatabase()
        const indexer = openIndexer(database, node.url)
        await node.mine(2)
        const mark = await node.mark()
        const both = await signTransfer('bob', 0, ALICE, '2')
        const gone = [await signTransfer('alice', 0, BOB, '1'), await signTransfer('alice', 1, CAROL, '4')]
        await send(node, [both, ...gone])
        await node.mine(CONFIRMATIONS)
        // Only now: what is final is asked for at the first step, and then after every sixteen blocks.
        const daemon = indexer.start()
        await indexer.untilHead()
        const before = [both, ...gone].map(({ hash }) => `${hash} confirmed`).toSorted()
        expect(await readStatuses(database)).toEqual(before)

        await node.returnTo(mark)
        const instead = await signTransfer('alice', 0, CAROL, '3')
        await send(node, [instead])
        await node.mine()
        await send(node, [both])
        await node.mine(CONFIRMATIONS + 1)
        if (!hasFinality) {
          await indexer.until('the chain halts', async () => daemon.states().some(({ phase }) => phase === 'halted'))
          expect(await readStatuses(database)).toEqual(before)
          await indexer.stop()
          indexer.start({ acceptReorgs: [CHAIN_ID] })
        }
        await indexer.untilHead()
        const after = [
          ...gone.map(({ hash }) => `${hash} pending`),
          ...[both, instead].map(({ hash }) => `${hash} confirmed`),
        ]
        expect(await readStatuses(database)).toEqual(after.toSorted())
        expect(await readActivities(database)).toEqual([
          '3 alice TRANSFER_OUT 3 ETH',
          '3 carol TRANSFER_IN 3 ETH',
          '4 alice TRANSFER_IN 2 ETH',
          '4 bob TRANSFER_OUT 2 ETH',
        ])
        for (const { hash } of gone)
          expect(await readReasons(database, hash)).toEqual(['included', 'confirmed', 'reorged'])
        await expectVerified(database, node.url, Number(await node.rpc('eth_blockNumber')))
      },
    )
  })
}

// ── What is opened ───────────────────────────────────────────────────────────────────────────────────────────────────────

async function openNode(server: Server, context: TestContext): Promise<TestNode> {
  const node = await server.start(context)
  opened.push(() => node.stop())
  return node
}

async function openDatabase(): Promise<TestDatabase> {
  const database = await createDatabase()
  opened.push(() => database.drop())
  for (const { id, wallet } of USERS)
    await database.sql`insert into users (id, wallet_address) values (${id}, ${wallet})`
  await database.sql`insert into indexer.watchlist (address) values (${CAROL})`
  return database
}

function openIndexer(database: TestDatabase, url: string): Indexer {
  const indexer = createIndexer(database.url, [{ chain: testChain(CHAIN_FILE), url }])
  opened.push(() => indexer.close())
  return indexer
}

/** A row as the application inserts it, as Bob's, with a hash in its own spelling and a chain that it only believes. */
async function claim({ sql }: TestDatabase, { hash }: Signed, status: string): Promise<void> {
  await sql`
    insert into user_transactions (user_id, tx_hash, chain, event_type, token, amount, status, timestamp)
    values (${USERS[1].id}, ${hash.toUpperCase().replace('0X', '0x')}, 'ethereum', 'CHECKOUT', 'LDAO', 100.5, ${status}, now())`
}

// ── What is expected ─────────────────────────────────────────────────────────────────────────────────────────────────────

type Scene = {
  readonly node: TestNode
  readonly database: TestDatabase
  readonly indexer: Indexer
  /** What blocks hold so far. */
  readonly mined: (Signed & { readonly block: number })[]
}

const LAST_ACTIVITIES = [
  '6 alice TRANSFER_IN 2 ETH',
  '6 alice TRANSFER_OUT 3 ETH',
  '6 bob TRANSFER_IN 3 ETH',
  '6 bob TRANSFER_OUT 2 ETH',
]

/** Mines a block with these transactions; afterwards the status of each transaction so far is what its depth makes it. */
async function mineAndCheck({ node, database, indexer, mined }: Scene, transactions: readonly Signed[]): Promise<void> {
  await node.mine()
  await indexer.untilHead()
  const head = Number(await node.rpc('eth_blockNumber'))
  mined.push(...transactions.map(transaction => ({ ...transaction, block: head })))
  const expected = mined
    .filter(({ isOfUser }) => isOfUser)
    .map(({ hash, block, succeeds }) => {
      const decided = succeeds ? 'confirmed' : 'failed'
      return `${hash} ${head - block + 1 >= CONFIRMATIONS ? decided : 'pending'}`
    })
  expect(await readStatuses(database), `at block ${head}`).toEqual(expected.toSorted())
}

/** The command as an operator runs it, on every block. */
async function expectVerified(database: TestDatabase, url: string, toBlock: number): Promise<void> {
  const workplace = await openWorkplace([CHAIN_FILE], { DATABASE_URL: database.url, LOCAL_RPC_URL: url })
  opened.push(() => workplace.end())
  const { code, stdout } = await workplace.run([
    'verify',
    '--chain',
    'local',
    '--from-block',
    '0',
    '--to-block',
    String(toBlock),
  ])
  expect(stdout).toContain('no differences')
  expect(code).toBe(0)
}

/** In which way the mempool is watched at the end. */
function wayOf({ lines }: Indexer): unknown {
  const told = lines.findLast(({ message }) => message === 'The mempool is watched')
  return told === undefined ? null : Object.entries(told.facts).find(([name]) => name === 'way')?.[1]
}

function bestWay(server: Server, transport: 'http' | 'websocket'): string {
  if (transport === 'websocket' && has(server, 'bodies of pending transactions by subscription')) return 'websocket'
  if (has(server, 'bodies of pending transactions by filter')) return 'filter'
  return has(server, 'txpool_content') ? 'pool' : 'filter of hashes'
}

function has({ lacks }: Server, offer: Offer): boolean {
  return !lacks.includes(offer)
}

// ── What is there ────────────────────────────────────────────────────────────────────────────────────────────────────────

async function readActivities({ sql }: TestDatabase): Promise<string[]> {
  const rows = await sql<
    { block: number; wallet: string; type: string; amount: string | null; token: string | null }[]
  >`
    select block_number::int as block, wallet_address as wallet, activity_type as type, trim_scale(amount)::text as amount, token
    from wallet_activity`
  return rows
    .map(({ block, wallet, type, amount, token }) =>
      [block, NAMES[wallet] ?? wallet, type, amount, token].filter(part => part !== null).join(' '),
    )
    .toSorted()
}

async function readStatuses({ sql }: TestDatabase): Promise<string[]> {
  const rows = await sql<{ text: string }[]>`select lower(tx_hash) || ' ' || status as text from user_transactions`
  return rows.map(({ text }) => text).toSorted()
}

async function readReasons({ sql }: TestDatabase, hash: string): Promise<string[]> {
  const rows = await sql<{ reason: string }[]>`
    select reason from indexer.transitions where tx_hash = ${hash} order by id`
  return rows.map(({ reason }) => reason)
}

/** Every column that does not tell when the row was written. @param except transactions that the application inserted */
async function readWhole({ sql }: TestDatabase, except: readonly Signed[]): Promise<string[]> {
  const hashes = except.map(({ hash }) => hash)
  const rows = await sql<{ text: string }[]>`
    select (to_jsonb(t) - 'created_at')::text as text from wallet_activity t
    union all
    select (to_jsonb(t) - '{id,created_at,updated_at}'::text[])::text from user_transactions t
    where not lower(tx_hash) = any(${hashes})
    order by 1`
  return rows.map(({ text }) => text)
}

async function readFacts({ sql }: TestDatabase, { hash }: Signed): Promise<unknown> {
  const [row] = await sql`
    select user_id, chain, token, raw_amount, amount, status, block_number, "timestamp" from user_transactions
    where lower(tx_hash) = ${hash}`
  return row
}
