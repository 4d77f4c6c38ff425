/**
 * The client of EthereumJS: a client of the real network, with an EVM, a store and a JSON-RPC of its own. It makes no blocks by
 * itself, so we are its consensus client and tell it over the Engine API which block is the head, and which is final.
 *
 * Always holds: the chain is what the client was told; a head that is left is left for good.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ask, type NodeProcess, startProcess, type TestNode, untilServing } from './node.ts'

const FINALITY_BLOCKS = 8
const BEGIN_AGO_SECONDS = 600
const NO_HASH = `0x${'0'.repeat(64)}`
const FEE_RECIPIENT = '0xfee0000000000000000000000000000000000fee'
/** A port that was free may be somebody else's a moment later. */
const STARTS = 3

type Ports = { readonly http: number; readonly socket: number; readonly engine: number; readonly engineSocket: number }
type Started = { readonly child: NodeProcess; readonly ports: Ports; readonly url: string }

/** @param directory where the nodes are installed */
export async function startEthereumjsNode(directory: string): Promise<TestNode> {
  const data = await mkdtemp(join(tmpdir(), 'ethereumjs-'))
  let child: NodeProcess | null = null
  const stop = async () => {
    await child?.end()
    await rm(data, { recursive: true, force: true })
  }
  try {
    const started = await start(directory, data)
    child = started.child
    const { ports, url } = started
    const rpc = (method: string, params: readonly unknown[] = []) => ask(url, method, params)
    const engine = `http://127.0.0.1:${ports.engine}`
    const chain = await beginChain(rpc, (method, params) => ask(engine, method, params))
    return {
      url,
      socketUrl: `ws://127.0.0.1:${ports.socket}`,
      rpc,
      mine: (count = 1) => chain.extend(count),
      finalise: () => chain.extend(FINALITY_BLOCKS + 1),
      mark: async () => chain.head(),
      returnTo: mark => chain.returnTo(mark),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function start(directory: string, data: string): Promise<Started> {
  for (let attempt = 1; ; attempt += 1) {
    const ports = await findPorts()
    const child = startProcess(argumentsOf(directory, join(data, String(attempt)), ports), { cwd: data })
    try {
      const url = await untilServing(child, () => `http://127.0.0.1:${ports.http}`)
      return { child, ports, url }
    } catch (error) {
      if (attempt === STARTS || !child.output().includes('EADDRINUSE')) throw error
    }
  }
}

function argumentsOf(directory: string, data: string, { http, socket, engine, engineSocket }: Ports): string[] {
  const local = '127.0.0.1'
  return [
    join(directory, 'node_modules/@ethereumjs/client/dist/esm/bin/cli.js'),
    `--gethGenesis=${join(directory, 'genesis.json')}`,
    `--dataDir=${data}`,
    '--logFile=false',
    // Nobody is looked for and nobody is synced with.
    ...'--isSingleNode --discV4=false --discDns=false --port=0'.split(' '),
    // The websocket listens on every interface, whatever it is told: for seconds, with money that is worth nothing.
    ...`--rpc --rpcAddr=${local} --rpcPort=${http} --ws --wsAddr=${local} --wsPort=${socket}`.split(' '),
    ...`--rpcEngine --rpcEngineAuth=false --rpcEngineAddr=${local} --rpcEnginePort=${engine}`.split(' '),
    ...`--wsEngineAddr=${local} --wsEnginePort=${engineSocket}`.split(' '),
  ]
}

/** Four free ports, held at once so that they differ. */
async function findPorts(): Promise<Ports> {
  const servers = [0, 1, 2, 3].map(() => createServer())
  const ports = await Promise.all(
    servers.map(
      server =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => {
            const address = server.address()
            resolve(typeof address === 'object' && address !== null ? address.port : 0)
          })
        }),
    ),
  )
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  const [http = 0, socket = 0, engine = 0, engineSocket = 0] = ports
  return { http, socket, engine, engineSocket }
}

// ── What a consensus client says ─────────────────────────────────────────────────────────────────────────────────────────

type Ask = (method: string, params: readonly unknown[]) => Promise<unknown>
type Payload = { readonly executionPayload: { readonly blockHash: string }; readonly executionRequests?: unknown }
type Made = { readonly hash: string; readonly timestamp: number }
type Chain = { extend(count: number): Promise<void>; head(): string; returnTo(hash: string): Promise<void> }

/** Engine API of Prague: `engine_forkchoiceUpdatedV3`, `engine_getPayloadV4`, `engine_newPayloadV4`. */
async function beginChain(rpc: Ask, engine: Ask): Promise<Chain> {
  const genesis = (await rpc('eth_getBlockByNumber', ['0x0', false])) as { hash: string; timestamp: string }
  let blocks: readonly Made[] = [{ hash: genesis.hash, timestamp: Number(genesis.timestamp) }]
  const choose = async (attributes: object | null): Promise<string | null> => {
    const final = blocks.at(-1 - FINALITY_BLOCKS)?.hash ?? NO_HASH
    const state = { headBlockHash: blocks.at(-1)?.hash, safeBlockHash: final, finalizedBlockHash: final }
    const answer = await engine('engine_forkchoiceUpdatedV3', attributes === null ? [state] : [state, attributes])
    const { payloadStatus, payloadId } = answer as { payloadStatus: { status: string }; payloadId: string | null }
    expectValid(payloadStatus.status, 'head')
    return payloadId
  }
  // A second is the least between two blocks, and ours come faster: from here on they are not in the future.
  const begin = Math.floor(Date.now() / 1000) - BEGIN_AGO_SECONDS
  const build = async (serial: number): Promise<Made> => {
    const timestamp = Math.max((blocks.at(-1)?.timestamp ?? 0) + 1, begin)
    const id = await choose({
      timestamp: `0x${timestamp.toString(16)}`,
      // Differs from block to block, or what was built before on the same parent would be given again.
      prevRandao: `0x${serial.toString(16).padStart(64, '0')}`,
      suggestedFeeRecipient: FEE_RECIPIENT,
      withdrawals: [],
      parentBeaconBlockRoot: NO_HASH,
    })
    // Where there are no requests, as in all of our blocks, it may leave the list out.
    const payload = (await engine('engine_getPayloadV4', [id])) as Payload
    const { executionPayload, executionRequests = [] } = payload
    const answer = await engine('engine_newPayloadV4', [executionPayload, [], NO_HASH, executionRequests])
    expectValid((answer as { status: string }).status, 'block')
    return { hash: executionPayload.blockHash, timestamp }
  }
  let built = 0
  return {
    head: () => blocks.at(-1)?.hash ?? genesis.hash,
    async returnTo(hash) {
      blocks = blocks.slice(0, blocks.findIndex(block => block.hash === hash) + 1)
      if (blocks.length === 0) throw new RangeError(`${hash} is not on the chain`)
      await choose(null)
    },
    async extend(count) {
      for (let made = 0; made < count; made += 1) {
        built += 1
        blocks = [...blocks, await build(built)]
        await choose(null)
      }
    },
  }
}

function expectValid(status: string, what: string): void {
  if (status !== 'VALID') throw new Error(`the client says of its own ${what}: ${status}`)
}
