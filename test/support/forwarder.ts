/**
 * An address that stays the same while what is behind it does not: TCP is passed on, held, refused or lost.
 *
 * Always holds: what was held passes when the forwarder is healed; what was lost never does.
 */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

export type Forwarder = {
  readonly port: number
  /** Where new connections go. */
  target: number
  /** HTTP requests that were passed on. */
  requests(): number
  /** Nobody listens, and who was connected is cut off. */
  refuse(): Promise<void>
  /** Connections are taken, and closed at once: so do balancers that have nobody behind them. */
  hangUp(): void
  /** Connections are taken and stay, and nothing passes, in either direction. */
  stall(): void
  /** Those that are open now are lost without a word, as if the machine behind them had died; new ones are passed on. */
  lose(): void
  /** As it was before; what was held passes now. */
  heal(): Promise<void>
  close(): Promise<void>
}

export async function openForwarder(target: number): Promise<Forwarder> {
  const sockets = new Set<Socket>()
  const lost = new Set<Socket>()
  let mode: 'open' | 'hang-up' | 'stalled' = 'open'
  let requests = 0
  const server: Server = createServer(incoming => {
    if (mode === 'hang-up') {
      incoming.destroy()
      return
    }
    const outgoing = connect(self.target, '127.0.0.1')
    incoming.on('data', (chunk: Buffer) => {
      requests += chunk.toString('latin1').split('POST / HTTP').length - 1
    })
    for (const [from, to] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(from)
      from.on('data', chunk => void to.write(chunk))
      from.on('error', () => lost.has(to) || to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        if (!lost.has(to)) to.destroy()
      })
      if (mode === 'stalled') from.pause()
    }
  })
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  const cut = () => {
    for (const socket of [...sockets, ...lost]) socket.destroy()
    lost.clear()
  }
  await listen(0)
  const { port } = server.address() as { port: number }
  const stopListening = async () => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    cut()
    await closed
  }
  const self: Forwarder = {
    port,
    target,
    requests: () => requests,
    refuse: stopListening,
    hangUp() {
      mode = 'hang-up'
      cut()
    },
    stall() {
      mode = 'stalled'
      for (const socket of sockets) socket.pause()
    },
    lose() {
      for (const socket of sockets) {
        socket.pause()
        lost.add(socket)
      }
    },
    async heal() {
      mode = 'open'
      for (const socket of sockets) if (!lost.has(socket)) socket.resume()
      if (!server.listening) await listen(port)
    },
    close: stopListening,
  }
  return self
}
