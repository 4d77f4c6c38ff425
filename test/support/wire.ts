/**
 * The wire to a websocket: a TCP proxy that passes bytes, until it does not.
 *
 * Always holds: it never closes by itself what it only silences, because that is what a silent websocket is; `heal` makes the wire
 * good for whoever connects from then on, and what was stalled goes on; a connection that went deaf stays deaf.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export type WireFault =
  /** Connections are closed, and new ones too. */
  | 'cut'
  /** Nothing passes on any connection, new ones included. */
  | 'stalled'
  /** Nothing passes ever again on the connections that are open; new ones are good. */
  | 'deaf'

export type Wire = {
  readonly url: string
  play(fault: WireFault): void
  heal(): void
  /** How often each fault was played while somebody was connected. */
  counters(): Readonly<Record<string, number>>
  close(): Promise<void>
}

type Line = { readonly client: Socket; readonly upstream: Socket; isDeaf: boolean }

type State = {
  readonly port: number
  readonly lines: Set<Line>
  readonly counts: Map<WireFault, number>
  fault: 'cut' | 'stalled' | null
}

/** @param target a URL of a websocket on this machine */
export async function startWire(target: string): Promise<Wire> {
  const state: State = { port: Number(new URL(target).port), lines: new Set(), counts: new Map(), fault: null }
  const server = createServer({ noDelay: true }, client => open(state, client))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `ws://127.0.0.1:${port}`,
    play(fault) {
      if (state.lines.size > 0) state.counts.set(fault, (state.counts.get(fault) ?? 0) + 1)
      state.fault = fault === 'deaf' ? null : fault
      for (const line of state.lines) {
        if (fault === 'cut') line.client.destroy()
        if (fault === 'deaf') line.isDeaf = true
      }
      flow(state)
    },
    heal() {
      state.fault = null
      flow(state)
    },
    counters: () => Object.fromEntries([...state.counts].map(([fault, times]) => [`websocket ${fault}`, times])),
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const { client } of state.lines) client.destroy()
      await closed
    },
  }
}

function open(state: State, client: Socket): void {
  const upstream = connect({ port: state.port, host: '127.0.0.1', noDelay: true })
  const line: Line = { client, upstream, isDeaf: false }
  state.lines.add(line)
  const end = () => {
    state.lines.delete(line)
    client.destroy()
    upstream.destroy()
  }
  client.on('data', chunk => upstream.write(chunk))
  upstream.on('data', chunk => client.write(chunk))
  for (const socket of [client, upstream]) socket.on('error', end).on('close', end)
  if (state.fault === 'cut') end()
  else flow(state)
}

/** What is silent is not read, so that nothing of it is lost. */
function flow({ lines, fault }: State): void {
  for (const { client, upstream, isDeaf } of lines) {
    for (const socket of [client, upstream]) {
      if (isDeaf || fault === 'stalled') socket.pause()
      else socket.resume()
    }
  }
}
