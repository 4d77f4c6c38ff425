/**
 * Nodes that number the logs of each receipt anew, over a socket: the block is taken all the same, with the numbers that its logs
 * have among all logs of the block.
 */
import { createServer } from 'node:http'
import { expect, onTestFinished, test } from 'vitest'
import { createJsonRpcSource } from '../../../src/source/json-rpc.ts'
import { addressOf, hashOf } from '../support/build.ts'

const BLOCK_HASH = hashOf(0xb10c)
const FIRST = hashOf(0xa1)
const SECOND = hashOf(0xa2)

/** A log of a transaction; its content is its true number. */
const log = (transactionHash: string, number: number, logIndex: number) => ({
  address: addressOf(0x70c),
  topics: [hashOf(number)],
  data: '0x',
  blockHash: BLOCK_HASH,
  blockNumber: '0x1',
  transactionHash,
  transactionIndex: transactionHash === FIRST ? '0x0' : '0x1',
  logIndex: `0x${logIndex.toString(16)}`,
  removed: false,
})
const LOGS = [log(FIRST, 0, 0), log(FIRST, 1, 1), log(SECOND, 2, 2)]

const transaction = (hash: string, index: number) => ({
  hash,
  blockHash: BLOCK_HASH,
  blockNumber: '0x1',
  transactionIndex: `0x${index}`,
  from: addressOf(0xa),
  to: addressOf(0x70c),
  value: '0x0',
  input: '0x',
  nonce: '0x0',
  gas: '0x5208',
})
const BLOCK = {
  number: '0x1',
  hash: BLOCK_HASH,
  parentHash: hashOf(0xb10b),
  timestamp: '0x1',
  logsBloom: `0x80${'00'.repeat(255)}`,
  transactionsRoot: hashOf(0x7007),
  transactions: [transaction(FIRST, 0), transaction(SECOND, 1)],
}
const receipt = (transactionHash: string, index: number, logs: readonly object[]) => ({
  transactionHash,
  transactionIndex: `0x${index}`,
  blockHash: BLOCK_HASH,
  blockNumber: '0x1',
  gasUsed: '0x5208',
  contractAddress: null,
  status: '0x1',
  logs,
})

type Answers = Readonly<Record<string, (params: readonly unknown[]) => { result: unknown } | { error: object }>>

/** Every receipt begins at 0. */
const GANACHE: Answers = {
  eth_getBlockReceipts: () => ({
    error: { code: -32_700, message: 'The method eth_getBlockReceipts does not exist/is not available' },
  }),
  eth_getTransactionReceipt: ([hash]) => ({
    result:
      hash === FIRST
        ? receipt(FIRST, 0, [log(FIRST, 0, 0), log(FIRST, 1, 1)])
        : receipt(SECOND, 1, [log(SECOND, 2, 0)]),
  }),
}
/** Among the receipts of a block each begins at the number of its transaction. */
const ETHEREUMJS: Answers = {
  eth_getBlockReceipts: () => ({
    result: [receipt(FIRST, 0, [log(FIRST, 0, 0), log(FIRST, 1, 1)]), receipt(SECOND, 1, [log(SECOND, 2, 1)])],
  }),
}

async function startNode(answers: Answers): Promise<string> {
  const all: Answers = {
    eth_chainId: () => ({ result: '0x1' }),
    eth_getBlockByNumber: () => ({ result: BLOCK }),
    eth_getLogs: ([filter]) => ({ result: (filter as { blockHash?: string }).blockHash === BLOCK_HASH ? LOGS : [] }),
    ...answers,
  }
  const server = createServer((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    request.on('end', () => {
      const { id, method, params } = JSON.parse(text) as { id: number; method: string; params: unknown[] }
      const answer = all[method]?.(params) ?? { error: { code: -32_601, message: 'Method not found' } }
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ jsonrpc: '2.0', id, ...answer }))
    })
  })
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return `http://127.0.0.1:${address.port}`
}

const open = async (answers: Answers) =>
  createJsonRpcSource({ chainId: 1, urls: [await startNode(answers)], displayUrl: () => 'the node' })

test.each([
  ['Ganache, in every receipt', GANACHE],
  ['EthereumJS, in the receipts of a block', ETHEREUMJS],
])('%s: each log has its place in the block', async (_name, answers) => {
  const source = await open(answers)
  const block = await source.block(1, new AbortController().signal)
  const numbered = block.receipts.map(({ logs }) => logs.map(({ logIndex, topics }) => [logIndex, topics[0]]))
  expect(numbered).toEqual([
    [
      [0, hashOf(0)],
      [1, hashOf(1)],
    ],
    [[2, hashOf(2)]],
  ])
})

test('where the logs of the block are others, the block is not believed', async () => {
  const source = await open({ ...ETHEREUMJS, eth_getLogs: () => ({ result: LOGS.slice(1) }) })
  await expect(source.block(1, new AbortController().signal)).rejects.toMatchObject({
    code: 'RPC_INCONSISTENT',
    message: expect.stringContaining('log 2 is missing or out of order'),
  })
})
