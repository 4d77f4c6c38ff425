/**
 * The step back: exactly what was there before, and for what left the chain the evidence that it was there.
 */

import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Block } from '../../src/core/types.ts'
import { createStore } from '../../src/store/store.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { testChain } from '../support/indexer.ts'
import {
  ALICE,
  addUser,
  BOB,
  buildBlock,
  CAROL,
  codeOf,
  type Followed,
  followByHand,
  hashOf,
  loadOwners,
  matchRows,
  readEverything,
  STRANGER,
  type Transfer,
  untilBlocked,
} from '../support/rows.ts'

const SEED = Number(process.env['SEED'] ?? 20_250_801)
const RUNS = Number(process.env['RUNS'] ?? 12)
const ALICE_ID = '00000000-0000-4000-8000-00000000000a'
const BOB_ID = '00000000-0000-4000-8000-00000000000b'

type World = { readonly database: TestDatabase; readonly store: ReturnType<typeof createStore> }

const opened: World[] = []
let world: World

async function openWorld(): Promise<World> {
  const database = await createDatabase()
  const made = { database, store: createStore(database.url) }
  opened.push(made)
  await addUser(database.sql, ALICE, ALICE_ID)
  await addUser(database.sql, BOB, BOB_ID)
  await made.store.addToWatchlist(CAROL, null)
  return made
}

beforeEach(async () => {
  world = await openWorld()
})

afterEach(async () => {
  for (const { database, store } of opened.splice(0)) {
    await store.close()
    await database.drop()
  }
})

const chain = testChain({ confirmations: 2 })

const reasons = async ({ database }: World, hash: string) =>
  (
    await database.sql<{ reason: string }[]>`select reason from indexer.transitions where tx_hash = ${hash} order by id`
  ).map(row => row.reason)

const rowsOf = ({ database }: World) => database.sql`
  select tx_hash, user_id, chain, event_type, status, block_number, trim_scale(amount)::text as amount, raw_amount::text, token,
    token_address, extract(epoch from timestamp)::int as at from user_transactions order by tx_hash`

/** What a chain's blocks left, without ids by chance and without the time of writing. */
async function stateOf({ database: { sql } }: World, chainId: number) {
  const canonical = sql`
    select t.tx_hash from indexer.transactions t where t.chain_id = ${chainId}`
  return {
    activities: [
      ...(await sql`select to_jsonb(a) - 'created_at' as row from wallet_activity a where chain_id = ${chainId} order by id`),
    ],
    rows: [
      ...(await sql`
        select to_jsonb(u) - 'id' - 'created_at' - 'updated_at' as row from user_transactions u
        where u.tx_hash in (${canonical}) order by tx_hash`),
    ],
    memory: [
      ...(await sql`
        select to_jsonb(t) - 'created_at' - 'sought_at' as row from indexer.transactions t where chain_id = ${chainId} order by tx_hash`),
    ],
    inclusions: [...(await sql`select * from indexer.inclusions where chain_id = ${chainId} order by tx_hash`)],
    headers: [...(await sql`select * from indexer.headers where chain_id = ${chainId} order by number`)],
    coverage: [...(await sql`select * from indexer.coverage where chain_id = ${chainId}`)],
    checkpoint: [
      ...(await sql`
        select block_number, block_hash, block_timestamp, finalized_number, start_block from indexer.checkpoints
        where chain_id = ${chainId}`),
    ],
  }
}

type NamedTransfers = readonly (readonly (Omit<Transfer, 'name'> & { readonly name: number })[])[]

function blocksOf(run: number, base: NamedTransfers, orphaned: NamedTransfers, adopted: NamedTransfers) {
  const fork = hashOf(`${run}:${base.length - 1}`)
  const used = new Set<number>()
  const toBlocks = (
    parts: NamedTransfers,
    from: number,
    name: string,
    parent?: `0x${string}`,
    taken = new Set<number>(),
  ) =>
    parts.map((transfers, index) => {
      const fresh = transfers.filter(each => !taken.has(each.name) && taken.add(each.name))
      const named: Transfer[] = fresh.map(each => ({ ...each, name: `${run} ${each.name}` }))
      return buildBlock(from + index, named, {
        branch: name,
        ...(index === 0 && parent !== undefined ? { parent } : {}),
      })
    })
  return {
    base: toBlocks(base, 0, `${run}`, undefined, used),
    orphaned: toBlocks(orphaned, base.length, `${run} orphaned`, fork, new Set(used)),
    adopted: toBlocks(adopted, base.length, `${run} adopted`, fork, new Set(used)),
  }
}

async function expectOrphans({ database }: World, blocks: readonly Block[]): Promise<void> {
  const hashes = blocks.flatMap(block => block.transactions.map(({ hash }) => hash))
  const wrong = await database.sql`
    select u.tx_hash from user_transactions u join indexer.transactions t using (tx_hash)
    where u.tx_hash = any(${hashes}) and (u.status <> 'pending' or t.status <> 'pending' or t.chain_id is not null
      or num_nonnulls(u.block_number, u.amount, u.raw_amount, u.token, u.token_address) > 0
      or (select reason from indexer.transitions x where x.tx_hash = u.tx_hash order by id desc limit 1) <> 'reorged')`
  expect([...wrong]).toEqual([])
  const left =
    await database.sql`select 1 from wallet_activity where tx_hash = any(${hashes}) and block_hash is not null`
  expect(left).toHaveLength(0)
}

async function disagreements({ database }: World) {
  return [
    ...(await database.sql`
      select u.tx_hash from user_transactions u join indexer.transactions t using (tx_hash)
      where u.status is distinct from t.status or u.status is distinct from
        (select to_status from indexer.transitions x where x.tx_hash = u.tx_hash order by id desc limit 1)`),
  ]
}

describe('a random history', () => {
  /** Who sends what to whom in each block; a transaction is named by its place, so that both branches can hold the same one. */
  const transfer = fc.record({
    name: fc.integer({ min: 0, max: 11 }),
    from: fc.constantFrom(ALICE, BOB, CAROL, STRANGER),
    to: fc.constantFrom(ALICE, BOB, CAROL, STRANGER),
    value: fc.bigInt({ min: 0n, max: 10n ** 20n }),
    succeeded: fc.boolean(),
  })
  const branch = fc.array(fc.array(transfer, { maxLength: 3 }), { minLength: 1, maxLength: 4 })

  test(`advance, advance, rewind is advance; and another branch then is as if it always had been (seed ${SEED})`, async () => {
    const straight = await openWorld()
    let run = 0
    await fc.assert(
      fc.asyncProperty(branch, branch, branch, async (base, orphaned, adopted) => {
        run += 1
        const own = testChain({ id: 1000 + run, name: `chain-${run}`, rpc: { env: `RPC_${run}` }, confirmations: 2 })
        const blocks = blocksOf(run, base, orphaned, adopted)
        const fork = blocks.base.at(-1)
        if (fork === undefined) throw new RangeError('there is always a block')
        const turned = await followByHand(world.store, own)
        await turned.advance(blocks.base)
        const before = await stateOf(world, own.id)
        // The blocks that stay get no deeper by those that go.
        await turned.advance(blocks.orphaned, { settledHeight: fork.number - 1 })
        await turned.rewind(fork)
        expect(await stateOf(world, own.id)).toEqual(before)
        await expectOrphans(world, blocks.orphaned)

        const direct = await followByHand(straight.store, own)
        await direct.advance(blocks.base)
        for (const each of [turned, direct]) await each.advance(blocks.adopted)
        expect(await stateOf(world, own.id)).toEqual(await stateOf(straight, own.id))
        expect(await disagreements(world)).toEqual([])
      }),
      { seed: SEED, numRuns: RUNS },
    )
  })
})

describe('what left the chain', () => {
  let followed: Followed
  const kept = buildBlock(0, [{ name: 'kept' }])
  const orphaned = [
    buildBlock(1, [{ name: 'good' }, { name: 'bad', succeeded: false }]),
    buildBlock(2, [{ name: 'young' }]),
    buildBlock(3),
  ]

  beforeEach(async () => {
    followed = await followByHand(world.store, chain)
    await followed.advance([kept])
    await followed.advance(orphaned)
  })

  test('is pending without block and amount; its time, type and user stay; the evidence names the block', async () => {
    const before = await rowsOf(world)
    expect(before.map(row => String(row['status'])).join(' ')).toMatch(/^(?=.*failed)(?:confirmed ?|failed ?){4}$/)
    await followed.rewind(kept)
    const nulls = {
      status: 'pending',
      block_number: null,
      amount: null,
      raw_amount: null,
      token: null,
      token_address: null,
    }
    expect([...(await rowsOf(world))]).toEqual(
      before.map(row => (row['tx_hash'] === hashOf('kept') ? row : { ...row, ...nulls })),
    )
    expect(await reasons(world, hashOf('good'))).toEqual(['included', 'confirmed', 'reorged'])
    expect(await reasons(world, hashOf('bad'))).toEqual(['included', 'reverted', 'reorged'])
    expect(await reasons(world, hashOf('kept'))).toEqual(['included', 'confirmed'])
    const [evidence] = await world.database.sql`
      select chain_id, from_status, to_status, block_number::int, block_hash from indexer.transitions
      where tx_hash = ${hashOf('bad')} order by id desc limit 1`
    expect(evidence).toEqual({
      chain_id: chain.id,
      from_status: 'failed',
      to_status: 'pending',
      block_number: 1,
      block_hash: hashOf('a:1'),
    })
  })

  test('is sought at once, and a reverted one may succeed elsewhere', async () => {
    await followed.rewind(kept)
    expect([...(await world.store.sought())].toSorted()).toEqual(['good', 'bad', 'young'].map(hashOf).toSorted())
    await followed.advance([
      buildBlock(1, [{ name: 'young' }], { branch: 'b', parent: kept.hash }),
      buildBlock(2, [{ name: 'bad' }], { branch: 'b' }),
      buildBlock(3, [], { branch: 'b' }),
    ])
    expect(await reasons(world, hashOf('bad'))).toEqual(['included', 'reverted', 'reorged', 'included', 'confirmed'])
    expect((await rowsOf(world)).find(row => row['tx_hash'] === hashOf('bad'))).toMatchObject({
      status: 'confirmed',
      block_number: 2,
      event_type: 'TRANSFER',
      amount: '1',
    })
    expect([...(await world.store.sought())]).toEqual([hashOf('good')])
  })

  test('leaves rows of the application alone', async () => {
    const [row] = await world.database.sql<{ id: string }[]>`
      insert into wallet_activity (wallet_address, activity_type, chain_id, block_number)
      values (${ALICE}, 'NOTE', ${chain.id}, 2) returning id`
    await followed.rewind(kept)
    expect(
      (await world.database.sql`select id from wallet_activity where block_number > 0`).map(each => each['id']),
    ).toEqual([row?.id])
  })

  test('is not written again by a repair that was under way', async () => {
    const { store, database } = world
    const block = orphaned[1]
    if (block === undefined) throw new RangeError('there is such a block')
    const { owners, version } = await loadOwners(store)
    const repair = {
      chain,
      registryVersion: version,
      block,
      wallets: [...owners.keys()],
      ...matchRows(chain, [block], owners),
    }
    expect(await store.commitRepair(repair)).toBe(true)
    let rewound: Promise<unknown> = Promise.resolve()
    let repaired: Promise<boolean> = Promise.resolve(true)
    await database.sql.begin(async application => {
      await application`update user_transactions set token = token`
      rewound = followed.rewind(kept)
      await untilBlocked(database.sql, rewound)
      repaired = store.commitRepair(repair)
      await untilBlocked(database.sql, repaired, 2)
    })
    await rewound
    expect(await repaired).toBe(false)
    expect(await database.sql`select 1 from wallet_activity where block_number > 0`).toHaveLength(0)
    expect(await store.commitRepair({ ...repair, block: { ...block, hash: hashOf('another') } })).toBe(false)
  })

  test('stays where it is for a holder whose lease or checkpoint is gone', async () => {
    const checkpoint = await world.store.checkpoint(chain.id)
    const move = {
      chainId: chain.id,
      expectedHash: checkpoint?.hash ?? null,
      to: { number: 0, hash: kept.hash, parentHash: kept.parentHash, timestamp: kept.timestamp },
      finalizedNumber: -1,
      headNumber: 3,
      startBlock: 0,
    }
    const before = await readEverything(world.database.sql)
    const base = { chain, chains: new Map([[chain.id, chain]]), lease: followed.lease, move }
    const { store } = world
    expect(await codeOf(store.commitRewind({ ...base, lease: { ...followed.lease, holder: 'old' } }))).toBe(
      'LEASE_LOST',
    )
    expect(await codeOf(store.commitRewind({ ...base, move: { ...move, expectedHash: hashOf('x') } }))).toBe(
      'LEASE_LOST',
    )
    expect(await readEverything(world.database.sql)).toEqual(before)
    expect(await codeOf(store.commitRewind(base))).toBe('none')
  })
})

/** What the rows show: chain, block, status. */
const shown = async () => (await rowsOf(world)).map(row => [row['chain'], row['block_number'], row['status']])
/** Two blocks, the first with these transactions. */
const on = (from: number, branch: string, names: readonly string[]) =>
  [from, from + 1].map((number, index) =>
    buildBlock(number, index === 0 ? names.map(name => ({ name })) : [], { branch }),
  )

describe('a transaction that stands on two chains', () => {
  const lower = testChain({ id: 1, name: 'lower', confirmations: 2 })
  const higher = testChain({ id: 2, name: 'higher', rpc: { env: 'HIGHER_RPC_URL' }, confirmations: 2 })
  const chains = [lower, higher]
  test.each([
    ['the lower first', [0, 1]],
    ['the higher first', [1, 0]],
  ] as const)(
    'shows the lower one: %s; the higher one after the lower was taken back; the lower one again',
    async (_how, order) => {
      const followers = [
        await followByHand(world.store, lower, { chains }),
        await followByHand(world.store, higher, { chains }),
      ]
      const blocks = [
        on(0, 'lower', []).concat(on(2, 'lower', ['replayed'])),
        on(0, 'higher', []).concat(on(2, 'higher', ['replayed'])),
      ]
      for (const index of order) await followers[index]?.advance(blocks[index] ?? [])
      expect(await shown()).toEqual([['lower', 2, 'confirmed']])
      expect(
        await world.database.sql`select 1 from wallet_activity where tx_hash = ${hashOf('replayed')}`,
      ).toHaveLength(4)

      const fork = blocks[0]?.[1]
      if (fork === undefined) throw new RangeError('there is such a block')
      await followers[0]?.rewind(fork)
      expect(await shown()).toEqual([['higher', 2, 'confirmed']])
      expect((await reasons(world, hashOf('replayed'))).slice(-3)).toEqual(['reorged', 'included', 'confirmed'])
      expect((await rowsOf(world))[0]).toMatchObject({
        amount: '1',
        token: 'ETH',
        event_type: 'TRANSFER',
        user_id: ALICE_ID,
      })

      await followers[0]?.advance([
        buildBlock(2, [], { branch: 'new', parent: fork.hash }),
        buildBlock(3, [{ name: 'replayed' }], { branch: 'new' }),
      ])
      expect(await shown()).toEqual([['lower', 3, 'pending']])
    },
  )

  test('a rewind of the higher one changes nothing that is shown', async () => {
    const first = await followByHand(world.store, lower, { chains })
    const second = await followByHand(world.store, higher, { chains })
    await first.advance(on(0, 'lower', ['replayed']))
    await second.advance([...on(0, 'higher', []), ...on(2, 'higher', ['replayed'])])
    const before = [...(await rowsOf(world))]
    const count = (await reasons(world, hashOf('replayed'))).length
    await second.rewind(buildBlock(1, [], { branch: 'higher' }))
    expect([...(await rowsOf(world))]).toEqual(before)
    expect(await reasons(world, hashOf('replayed'))).toHaveLength(count)
    expect(await world.database.sql`select distinct chain_id from wallet_activity`).toHaveLength(1)
  })
})
