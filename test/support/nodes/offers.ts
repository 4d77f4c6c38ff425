/**
 * What a node offers of that which the indexer can use and can do without, found out by asking.
 */
import type { Contracts } from '../../../src/demo/compile.ts'
import { RefusedError, type TestNode } from './node.ts'
import { CAROL, send, type Signed, writeStory } from './story.ts'

export const OFFERS = [
  'eth_getBlockReceipts',
  'true log numbers in eth_getBlockReceipts',
  'a finalized block below its head',
  'bodies of pending transactions by subscription',
  'bodies of pending transactions by filter',
  'hashes of pending transactions by filter',
  'txpool_content',
  'EIP-7702 authorizations',
] as const
export type Offer = (typeof OFFERS)[number]

/** Mines some blocks on a fresh node and looks what it says of them. */
export async function askOffers(node: TestNode, contracts: Contracts): Promise<readonly Offer[]> {
  const story = await writeStory(contracts, true)
  const offered = new Set<Offer>()
  const note = (offer: Offer, isOffered: boolean) => {
    if (isOffered) offered.add(offer)
  }
  const [delegation = [], ...ordinary] = story.blocks.toReversed()
  for (const transactions of ordinary.toReversed()) {
    await send(node, transactions)
    await node.mine()
  }
  note('EIP-7702 authorizations', await tellsAuthorizations(node, delegation))
  const receipts = await orNull(node.rpc('eth_getBlockReceipts', ['0x2']))
  note('eth_getBlockReceipts', Array.isArray(receipts))
  note('true log numbers in eth_getBlockReceipts', receipts === null || areNumbered(receipts))
  await node.finalise()
  const finalized = (await orNull(node.rpc('eth_getBlockByNumber', ['finalized', false]))) as { number: string } | null
  const head = Number(await node.rpc('eth_blockNumber'))
  note('a finalized block below its head', finalized !== null && Number(finalized.number) < head)

  const next = () => story.transfer('bob', CAROL, '0.001')
  note('bodies of pending transactions by subscription', isBody(await hear(node, await next())))
  note('bodies of pending transactions by filter', isBody(await poll(node, [true], await next())))
  note('hashes of pending transactions by filter', typeof (await poll(node, [], await next())) === 'string')
  const pool = (await orNull(node.rpc('txpool_content'))) as { pending?: object } | null
  note('txpool_content', Object.keys(pool?.pending ?? {}).length > 0)
  return OFFERS.filter(offer => offered.has(offer))
}

async function tellsAuthorizations(node: TestNode, transactions: readonly Signed[]): Promise<boolean> {
  const refused = await send(node, transactions).then(
    () => false,
    (error: unknown) => error instanceof RefusedError,
  )
  if (refused) return false
  await node.mine()
  const { transactions: bodies } = (await node.rpc('eth_getBlockByNumber', ['latest', true])) as {
    transactions: object[]
  }
  return bodies.some(body => 'authorizationList' in body)
}

/** Whether the logs of all receipts are numbered through, as those of a block are. */
function areNumbered(receipts: unknown): boolean {
  if (!Array.isArray(receipts)) return false
  const numbers = (receipts as { logs: { logIndex: string }[] }[]).flatMap(({ logs }) =>
    logs.map(log => Number(log.logIndex)),
  )
  return numbers.length > 1 && numbers.every((number, index) => number === index)
}

function isBody(told: unknown): boolean {
  return typeof told === 'object' && told !== null
}

/** The first that a filter tells after a transaction was sent; null where there is no such filter. */
async function poll(node: TestNode, params: readonly true[], transaction: Signed): Promise<unknown> {
  const filter = await orNull(node.rpc('eth_newPendingTransactionFilter', params))
  await send(node, [transaction])
  if (filter === null) return null
  const [first = null] = (await node.rpc('eth_getFilterChanges', [filter])) as unknown[]
  return first
}

/** The first that a subscription tells after a transaction was sent; null where there is none. */
async function hear(node: TestNode, transaction: Signed): Promise<unknown> {
  const socket = new WebSocket(node.socketUrl)
  const messages = readMessages(socket)
  try {
    await messages.opened
    socket.send(
      JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_subscribe', params: ['newPendingTransactions', true] }),
    )
    const { result } = (await messages.next()) as { result?: string }
    await send(node, [transaction])
    if (result === undefined) return null
    const { params } = (await messages.next()) as { params?: { result: unknown } }
    return params?.result ?? null
  } finally {
    socket.close()
  }
}

type Messages = { readonly opened: Promise<unknown>; next(): Promise<unknown> }

function readMessages(socket: WebSocket): Messages {
  const waiting: ((message: unknown) => void)[] = []
  const told: unknown[] = []
  socket.addEventListener('message', ({ data }) => {
    const message: unknown = JSON.parse(String(data))
    const taker = waiting.shift()
    if (taker === undefined) told.push(message)
    else taker(message)
  })
  const opened = new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true })
    socket.addEventListener('error', () => reject(new Error('the websocket does not open')), { once: true })
  })
  return {
    opened,
    next: () => (told.length > 0 ? Promise.resolve(told.shift()) : new Promise(resolve => waiting.push(resolve))),
  }
}

async function orNull(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof RefusedError) return null
    throw error
  }
}
