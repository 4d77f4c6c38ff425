/**
 * The mempool: what users send is shown before a block holds it, in every way that a node may offer it, and no way is asked for more
 * than it is worth.
 */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createJsonRpcSource } from '../../src/source/json-rpc.ts'
import { type FrontNode, type Manners, refuseMethod, Refusal, startFrontNode } from '../support/front-node.ts'
import { createIndexer, type Indexer, testChain } from '../support/indexer.ts'
import { ALICE, ETHER, openSendingUser, type SendingUser, signTransfer } from '../support/sending-user.ts'

const NEW_FILTER = 'eth_newPendingTransactionFilter'
const CHANGES = 'eth_getFilterChanges'
const POOL = 'txpool_content'
const SUBSCRIBE = 'eth_subscribe newPendingTransactions'
const MEMPOOL_METHODS = [SUBSCRIBE, NEW_FILTER, CHANGES, 'eth_uninstallFilter', POOL]
const TEN_MINUTES_MS = 600_000

let stage: SendingUser
let database: SendingUser['database']
let anvil: SendingUser['anvil']
let user: string

beforeEach(async () => {
  stage = await openSendingUser()
  ;({ database, anvil, user } = stage)
})

afterEach(async () => {
  await stage.close()
})

/** A daemon at the head, with the user's wallet tracked. */
async function startIndexer(urls: readonly string[], fields: Record<string, unknown> = {}): Promise<Indexer> {
  const indexer = createIndexer(database.url, [{ chain: testChain({ mempool: 'poll', ...fields }), url: urls }])
  stage.opened.push(indexer)
  await indexer.registry.refresh('now')
  indexer.start({ jobs: true })
  await indexer.untilHead()
  return indexer
}

async function startNode(manners?: Manners): Promise<FrontNode> {
  const node = await startFrontNode(anvil, manners)
  stage.opened.push(node)
  return node
}

const sign = (nonce: number, gwei?: bigint) => signTransfer(nonce, ETHER, gwei)
const send = async (nonce: number, gwei?: bigint) =>
  String(await anvil.rpc('eth_sendRawTransaction', [await sign(nonce, gwei)]))

const hashOf = (byte: string) => `0x${byte.repeat(32)}`

/** The ways that were told of, in their order. */
const waysOf = ({ lines }: Indexer) =>
  lines.flatMap(({ message, facts }) => (message === 'The mempool is watched' ? [(facts as { way: string }).way] : []))
const untilWay = (indexer: Indexer, way: string) =>
  indexer.until(`the way is ${way}`, async () => waysOf(indexer).at(-1) === way)

async function rowOf(hash: string): Promise<object | undefined> {
  const [row] = await database.sql`
    select u.user_id, u.chain, u.event_type, u.status, u.block_number, u.amount, k.sender, k.nonce::int
    from user_transactions u join indexer.transactions k using (tx_hash) where tx_hash = ${hash}`
  return row
}

const isShown = async (hash: string) => (await rowOf(hash)) !== undefined
const untilShown = (indexer: Indexer, hash: string) => indexer.until(`${hash} is shown`, () => isShown(hash))

const story = async (hash: string) =>
  (
    await database.sql<
      { from_status: string | null; to_status: string; reason: string; replacing_hash: string | null }[]
    >`
      select from_status, to_status, reason, replacing_hash from indexer.transitions where tx_hash = ${hash} order by id`
  ).map(row => [row.from_status, row.to_status, row.reason, row.replacing_hash].filter(Boolean).join(' '))

// ── Manners of nodes ─────────────────────────────────────────────────────────────────────────────────────────────────────

const without =
  (...methods: readonly string[]): Manners =>
  async ({ method, params }, ask) => {
    if (methods.includes(method)) throw refuseMethod(method)
    return ask(method, params)
  }

const fullFilters = new Set<unknown>()

/** As geth does from 1.11 on: a filter that is asked to gives bodies. */
const withBodies: Manners = async ({ method, params }, ask) => {
  const answer = await ask(method, method === NEW_FILTER ? [] : params)
  if (method === NEW_FILTER && params[0] === true) fullFilters.add(answer)
  if (method !== CHANGES || !fullFilters.has(params[0])) return answer
  return Promise.all((answer as string[]).map(hash => ask('eth_getTransactionByHash', [hash])))
}

/** As geth did before: the parameter is taken and means nothing. */
const withDeafFilters: Manners = ({ method, params }, ask) => ask(method, method === NEW_FILTER ? [] : params)

describe('what a user sends is shown before a block holds it', () => {
  test.each<[string, readonly string[], Manners | undefined, Record<string, unknown>]>([
    ['over a websocket', ['websocket'], undefined, { mempool: 'auto' }],
    ['by a filter that gives bodies', ['filter'], withBodies, {}],
    ['by the whole pool', ['pool'], undefined, {}],
    ['by a filter of hashes', ['filter of hashes'], without(POOL), {}],
    [
      'by a filter that was asked for bodies in vain',
      ['filter', 'filter of hashes'],
      async (question, ask) => {
        if (question.method === POOL) throw refuseMethod(POOL)
        return withDeafFilters(question, ask)
      },
      {},
    ],
  ])('%s', async (_name, ways, manners, fields) => {
    const node = await startNode(manners)
    const indexer = await startIndexer([ways[0] === 'websocket' ? node.wsUrl : node.url], fields)
    await indexer.until('the mempool is watched', async () => waysOf(indexer).length > 0)
    // The change that shows that a way does not serve may be lost with it: what comes after is shown.
    const nonce = ways.length - 1
    if (nonce > 0) await send(0)
    await indexer.until('the way that serves is found', async () => waysOf(indexer).length === ways.length)
    const hash = await send(nonce)
    await untilShown(indexer, hash)
    expect(await rowOf(hash)).toEqual({
      user_id: user,
      chain: 'local',
      event_type: 'TRANSFER',
      status: 'pending',
      block_number: null,
      amount: null,
      sender: ALICE,
      nonce,
    })
    expect(await anvil.rpc('eth_blockNumber')).toBe('0x0')
    const second = await send(nonce + 1)
    await untilShown(indexer, second)
    expect(waysOf(indexer)).toEqual(ways)
    await anvil.mine(3)
    await indexer.untilHead()
    expect(await story(hash)).toEqual(['pending pending included', 'pending confirmed confirmed'])
    expect(await story(second)).toEqual(['pending pending included', 'pending confirmed confirmed'])
  })

  test('also while it waits for another that was not sent yet', async () => {
    const indexer = await startIndexer([anvil.url])
    const hash = await send(7)
    await untilShown(indexer, hash)
    expect(await rowOf(hash)).toMatchObject({ status: 'pending', sender: ALICE, nonce: 7 })
  })

  test('and what speeds it up replaces it, once that is deep enough', async () => {
    const indexer = await startIndexer([anvil.url])
    const slow = await send(0)
    await untilShown(indexer, slow)
    const fast = await send(0, 100n)
    await untilShown(indexer, fast)
    await anvil.mine(2)
    await indexer.untilHead()
    expect(await rowOf(slow)).toMatchObject({ status: 'pending' })
    await anvil.mine()
    await indexer.until('it is replaced', async () => (await story(slow)).length > 0)
    expect(await story(slow)).toEqual([`pending failed replaced ${fast}`])
    expect(await rowOf(fast)).toMatchObject({ status: 'confirmed', block_number: 1 })
  })

  test('whatever else a node tells', async () => {
    const hash = await send(0)
    const [body] = Object.values(
      ((await anvil.rpc(POOL)) as { pending: Record<string, Record<string, object>> }).pending,
    ).flatMap(byNonce => Object.values(byNonce))
    const bad = [
      null,
      5,
      'words',
      [],
      {},
      [body],
      { ...body, from: undefined },
      { ...body, hash: 'aa' },
      { ...body, hash: hashOf('bb'), nonce: '0xffffffffffffffffff' },
      { ...body, hash: hashOf('cc'), value: '1' },
      { ...body, hash: hashOf('dd'), blockHash: hashOf('ee') },
    ]
    const node = await startNode(async (question, ask) => {
      const answer = await withBodies(question, ask)
      return question.method === CHANGES ? [...bad, body, ...bad] : answer
    })
    const indexer = await startIndexer([node.url])
    await untilShown(indexer, hash)
    const rows = await database.sql`select tx_hash from user_transactions`
    expect(rows).toEqual([{ tx_hash: hash }])
    expect(waysOf(indexer)).toEqual(['filter'])
    expect(indexer.lines.filter(({ level }) => level === 'error' || level === 'warn')).toEqual([])
  })
})

describe('a filter', () => {
  test('that the node has forgotten is made anew', async () => {
    const forgotten = new Set<unknown>()
    let forgets = false
    const node = await startNode(async (question, ask) => {
      if (question.method === CHANGES && forgets) forgotten.add(question.params[0])
      if (forgotten.has(question.params[0])) {
        forgets = false
        throw new Refusal(-32_000, 'filter not found')
      }
      return withBodies(question, ask)
    })
    const indexer = await startIndexer([node.url])
    await untilWay(indexer, 'filter')
    forgets = true
    await indexer.until('there is another filter', async () => node.asked(NEW_FILTER) === 2)
    const hash = await send(0)
    await untilShown(indexer, hash)
    expect(node.asked(NEW_FILTER)).toBe(2)
    expect(node.asked(POOL)).toBe(0)
  })

  test('that every other node behind the address does not know is given up for the next way', async () => {
    const node = await startNode(async (question, ask) => {
      if (question.method === CHANGES) throw new Refusal(-32_000, `filter ${String(question.params[0])} not found`)
      return withBodies(question, ask)
    })
    const indexer = await startIndexer([node.url])
    await untilWay(indexer, 'pool')
    const made = node.asked(NEW_FILTER)
    expect(made).toBeLessThanOrEqual(3)
    const hash = await send(0)
    await untilShown(indexer, hash)
    const polls = node.asked(POOL)
    await indexer.until('two more polls', async () => node.asked(POOL) >= polls + 2)
    expect(node.asked(NEW_FILTER)).toBe(made)
  })

  test('of hashes costs fifty questions a poll, and no more', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    const node = await startNode(async (question, ask) => {
      if (question.method === CHANGES) await gate
      return without(POOL)(question, ask)
    })
    const indexer = await startIndexer([node.url])
    await untilWay(indexer, 'filter of hashes')
    const sent: string[] = []
    for (let nonce = 0; nonce < 60; nonce += 1) sent.push(await send(nonce))
    open()
    await indexer.until('the last of the fifty is shown', () => isShown(sent[49] ?? ''))
    const left = 'The mempool tells of more than is asked for: the rest is left to the block'
    expect(
      indexer.lines.filter(({ message }) => message === left).map(({ level, facts }) => ({ level, ...facts })),
    ).toEqual([{ level: 'debug', chain: 'local', endpoint: node.url, left: 10 }])
    const next = await send(60)
    await untilShown(indexer, next)
    const rows = await database.sql`select tx_hash from user_transactions`
    expect(rows.length).toBe(51)
  })

  test('is given back when the daemon stops', async () => {
    const filters: unknown[] = []
    const node = await startNode(async (question, ask) => {
      const answer = await withBodies(question, ask)
      if (question.method === NEW_FILTER) filters.push(answer)
      return answer
    })
    const indexer = await startIndexer([node.url])
    await untilWay(indexer, 'filter')
    await indexer.stop()
    expect(filters).toHaveLength(1)
    await expect(anvil.rpc(CHANGES, filters)).rejects.toMatchObject({ facts: { reason: 'filter not found' } })
  })

  test('keeps nobody from stopping', async () => {
    const node = await startNode((question, ask) =>
      question.method === 'eth_uninstallFilter' ? new Promise(() => undefined) : withBodies(question, ask),
    )
    const indexer = await startIndexer([node.url])
    await untilWay(indexer, 'filter')
    const began = performance.now()
    await indexer.stop()
    expect(node.asked('eth_uninstallFilter')).toBe(1)
    expect(performance.now() - began).toBeLessThan(5_000)
  })
})

describe('a websocket', () => {
  test('that was cut off is opened again', async () => {
    const node = await startNode()
    const indexer = await startIndexer([anvil.url, node.wsUrl], { mempool: 'auto' })
    await untilWay(indexer, 'websocket')
    node.cutSockets()
    await indexer.until('there is another subscription', async () => node.asked(SUBSCRIBE) === 2)
    const hash = await send(0)
    await untilShown(indexer, hash)
  })

  test('that is silent keeps nobody from stopping', async () => {
    const node = await startNode()
    const indexer = await startIndexer([anvil.url, node.wsUrl], { mempool: 'auto' })
    await untilWay(indexer, 'websocket')
    node.behave(() => new Promise(() => undefined))
    const began = performance.now()
    await indexer.stop()
    // That of the mempool, and that of new heads.
    expect(node.asked('eth_unsubscribe')).toBe(2)
    expect(performance.now() - began).toBeLessThan(5_000)
  })

  test('that tells hashes alone is left for what has bodies', async () => {
    const node = await startNode(async ({ method, params }, ask) =>
      ask(method, method === 'eth_subscribe' ? params.slice(0, 1) : params),
    )
    const indexer = await startIndexer([node.wsUrl, anvil.url])
    await untilWay(indexer, 'websocket')
    const hash = await send(0)
    await untilWay(indexer, 'pool')
    await untilShown(indexer, hash)
    expect(node.asked('eth_unsubscribe')).toBe(1)
    expect(waysOf(indexer)).toEqual(['websocket', 'pool'])
  })

  test('that fails is tried again beside the lesser way that was taken meanwhile', async () => {
    let isBusy = true
    const node = await startNode(async ({ method, params }, ask) => {
      if (method === 'eth_subscribe' && isBusy) throw new Refusal(-32_000, 'busy')
      return ask(method, params)
    })
    const indexer = await startIndexer([anvil.url, node.wsUrl])
    await untilWay(indexer, 'pool')
    isBusy = false
    await untilWay(indexer, 'websocket')
    const hash = await send(0)
    await untilShown(indexer, hash)
    expect(waysOf(indexer)).toEqual(['pool', 'websocket'])
  })
})

describe('what is asked', () => {
  test.each<[string, string, Record<string, unknown>]>([
    ['the mempool is off', 'ws', { mempool: 'off' }],
    ['the mempool is off and the endpoint is HTTP', 'http', { mempool: 'off' }],
    ['nothing is said and the endpoint is HTTP', 'http', { mempool: undefined }],
  ])('is nothing where %s', async (_name, scheme, fields) => {
    const node = await startNode()
    const indexer = await startIndexer([scheme === 'ws' ? node.wsUrl : node.url], fields)
    const hash = await send(0)
    // Whoever asks does so at the start; a block and its successor take longer than that.
    await anvil.mine()
    await indexer.untilHead()
    await anvil.mine()
    await indexer.untilHead()
    expect(await rowOf(hash)).toMatchObject({ status: 'pending', block_number: 1, sender: null })
    expect(node.asked(...MEMPOOL_METHODS)).toBe(0)
  })

  test('of methods that are missing is each once, and the block shows what none of them did', async () => {
    const key = 'AbCdEf0123456789'
    const node = await startNode(async ({ method, params }, ask) => {
      if (MEMPOOL_METHODS.includes(method)) throw new Refusal(-32_601, `no method ${method} for ${key}`)
      return ask(method, params)
    })
    const indexer = await startIndexer([`${node.url}/v2/${key}?token=s3cr3t-t0ken`])
    await indexer.until('the last way was tried', async () => node.asked(POOL) === 1)
    const hash = await send(0)
    await anvil.mine(3)
    await indexer.untilHead()
    expect(await rowOf(hash)).toMatchObject({ status: 'confirmed', sender: null })
    expect([node.asked(NEW_FILTER), node.asked(POOL), node.asked(CHANGES)]).toEqual([1, 1, 0])
    expect(waysOf(indexer)).toEqual([])
    const lines = JSON.stringify(indexer.lines)
    expect(lines).toContain('no method txpool_content for ***')
    expect(lines).not.toMatch(/AbCdEf0123456789|s3cr3t/)
  })

  test('is the best way that any endpoint has', async () => {
    const plain = await startNode()
    const better = await startNode(withBodies)
    const indexer = await startIndexer([plain.url, better.url])
    await untilWay(indexer, 'filter')
    const hash = await send(0)
    await untilShown(indexer, hash)
    expect(plain.asked(POOL, CHANGES) + better.asked(POOL)).toBe(0)
  })

  test('of an endpoint that is asked too much is nothing more for a while', async () => {
    const node = await startNode(async (question, ask) => {
      if (MEMPOOL_METHODS.includes(question.method)) throw new Refusal(-32_005, 'too many requests', 429)
      return ask(question.method, question.params)
    })
    const indexer = await startIndexer([node.url])
    await indexer.until('it was refused', async () => node.asked(...MEMPOOL_METHODS) > 0)
    await anvil.mine(2)
    await indexer.untilHead()
    expect(node.asked(...MEMPOOL_METHODS)).toBe(1)
  })
})

type Watching = {
  readonly told: readonly string[]
  readonly ways: readonly string[]
  readonly later: (ms: number) => void
}

/** Watches with a clock that can be set forward, and as often as it may. */
function watch(url: string): Watching {
  let offset = 0
  const clock = { now: () => Date.now(), monotonic: () => performance.now() + offset }
  const source = createJsonRpcSource({ chainId: 31337, urls: [url], displayUrl: text => new URL(text).origin, clock })
  const abort = new AbortController()
  const told: string[] = []
  const ways: string[] = []
  const done = source.watchPending(
    {
      polls: true,
      pollMs: 20,
      onTransaction: ({ hash }) => void told.push(hash),
      onWay: ({ way }) => void ways.push(way),
      onTrouble: () => undefined,
    },
    abort.signal,
  )
  stage.opened.push({
    async close() {
      abort.abort()
      await done
      await source.close()
    },
  })
  return { told, ways, later: ms => void (offset += ms) }
}

describe('the source', () => {
  test('tells of what stays in the pool once', async () => {
    const node = await startNode()
    const { told } = watch(node.url)
    const first = await send(0)
    await expect.poll(() => told).toEqual([first])
    const polls = node.asked(POOL)
    const second = await send(1)
    await expect.poll(() => node.asked(POOL), { timeout: 20_000 }).toBeGreaterThan(polls + 3)
    expect(told).toEqual([first, second])
  })

  test('passes over a body that is not the one it asked for', async () => {
    let isConfused = true
    const node = await startNode(async (question, ask) => {
      const answer = await without(POOL)(question, ask)
      if (question.method !== 'eth_getTransactionByHash' || !isConfused) return answer
      isConfused = false
      return { ...(answer as object), hash: hashOf('ab') }
    })
    const { told } = watch(node.url)
    await expect.poll(() => node.asked(CHANGES), { timeout: 20_000 }).toBeGreaterThan(0)
    await send(0)
    await expect.poll(() => node.asked('eth_getTransactionByHash'), { timeout: 20_000 }).toBe(1)
    const second = await send(1)
    await expect.poll(() => told, { timeout: 20_000 }).toEqual([second])
  })

  test('asks for a missing method again after ten minutes, and goes back to the better way', async () => {
    const node = await startNode(without(NEW_FILTER))
    const { told, ways, later } = watch(node.url)
    await expect.poll(() => node.asked(POOL), { timeout: 20_000 }).toBeGreaterThan(3)
    expect(node.asked(NEW_FILTER)).toBe(1)
    later(TEN_MINUTES_MS)
    node.behave((question, ask) => (question.method === POOL ? without(POOL) : withBodies)(question, ask))
    await expect.poll(() => ways.at(-1), { timeout: 20_000 }).toBe('filter')
    const hash = await send(0)
    await expect.poll(() => told, { timeout: 20_000 }).toEqual([hash])
    expect(node.asked(NEW_FILTER)).toBe(2)
  })

  test('makes a filter anew that told nothing for ten minutes', async () => {
    const node = await startNode(withBodies)
    const { told, later } = watch(node.url)
    await expect.poll(() => node.asked(CHANGES), { timeout: 20_000 }).toBeGreaterThan(2)
    expect(node.asked(NEW_FILTER)).toBe(1)
    later(TEN_MINUTES_MS)
    await expect.poll(() => node.asked(NEW_FILTER), { timeout: 20_000 }).toBe(2)
    expect(node.asked('eth_uninstallFilter')).toBe(1)
    const hash = await send(0)
    await expect.poll(() => told, { timeout: 20_000 }).toEqual([hash])
  })
})
