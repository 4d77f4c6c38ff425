/**
 * The way to the database, with a gatekeeper: a TCP proxy between one program and Postgres.
 *
 * Always holds: with nothing set it passes every byte; its port stays when the server behind it restarts. It knows two words of
 * what passes: that a transaction moves a checkpoint, and that it commits. So a program can be killed, or lose its answer, at the
 * one instant that matters, instead of near it.
 */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { sleep } from '../../src/runtime/sleep.ts'

/** What happens at the commit of a step: the order is never sent, is sent but its answer lost, or its answer passes. */
export type Instant = 'before-commit' | 'lost-answer' | 'after-commit'

export type Trap = {
  readonly instant: Instant
  /** Commits of steps that pass before. */
  readonly passes: number
  /** Done at the instant itself, before another byte passes. */
  readonly spring: () => void
}

export type Hold = {
  /** One waits. */
  readonly reached: Promise<void>
  release(): void
}

export type Gate = {
  /** The URL of a database, through this gate. */
  through(url: string): string
  /** Cuts every connection that is open now. */
  cut(): void
  /** While closed, new connections are cut at once. */
  setClosed(closed: boolean): void
  /** Transactions begin this much later. */
  setDelay(ms: number): void
  /** After `passes` more of them, transactions don't begin until they are released. */
  hold(passes: number): Hold
  /** Armed until it springs; null disarms. */
  setTrap(trap: Trap | null): void
  /** Commits of steps so far. */
  commits(): number
  close(): Promise<void>
}

type State = {
  target: { readonly port: number }
  closed: boolean
  delayMs: number
  held: { passes: number; readonly reach: () => void; readonly released: Promise<void> } | null
  trap: Trap | null
  passed: number
  commits: number
  readonly sockets: Set<Socket>
}

const COMMIT = Buffer.from('commit\0')
const BEGIN = Buffer.from('begin ')
const MOVES = [Buffer.from('update indexer.checkpoints'), Buffer.from('insert into indexer.checkpoints')]

/** @param target where the server listens; asked for at each connection */
export async function openGate(target: { readonly port: number }): Promise<Gate> {
  const state: State = {
    target,
    closed: false,
    delayMs: 0,
    held: null,
    trap: null,
    passed: 0,
    commits: 0,
    sockets: new Set(),
  }
  const server = createServer({ noDelay: true }, client => pass(state, client))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const cut = () => {
    for (const socket of state.sockets) socket.destroy()
  }
  return {
    through(url) {
      const own = new URL(url)
      own.port = String(port)
      return own.href
    },
    cut,
    setClosed(closed) {
      state.closed = closed
      if (closed) cut()
    },
    setDelay: ms => void (state.delayMs = ms),
    hold(passes) {
      const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
      const { promise: released, resolve } = Promise.withResolvers<void>()
      state.held = { passes, reach, released }
      return {
        reached,
        release() {
          state.held = null
          resolve()
        },
      }
    },
    setTrap(trap) {
      state.trap = trap
      state.passed = 0
    },
    commits: () => state.commits,
    async close() {
      const closed = once(server, 'close')
      server.close()
      cut()
      await closed
    },
  }
}

function pass(state: State, client: Socket): void {
  const upstream = connect({ port: state.target.port, host: '127.0.0.1', noDelay: true })
  const end = () => {
    client.destroy()
    upstream.destroy()
  }
  for (const socket of [client, upstream]) {
    state.sockets.add(socket)
    socket.on('error', end)
    socket.on('close', () => {
      state.sockets.delete(socket)
      end()
    })
  }
  if (state.closed) {
    end()
    return
  }
  let movesCheckpoint = false
  let isDeaf = false
  upstream.on('data', chunk => {
    if (isDeaf) end()
    else client.write(chunk)
  })
  client.on('data', chunk => {
    if (MOVES.some(word => chunk.includes(word))) movesCheckpoint = true
    if (movesCheckpoint && chunk.includes(COMMIT)) {
      movesCheckpoint = false
      state.commits += 1
      const sprung = springAt(state)
      if (sprung === 'before-commit') {
        end()
        return
      }
      if (sprung === 'lost-answer') isDeaf = true
    }
    const wait = chunk.includes(BEGIN) ? waitOf(state) : null
    if (wait === null) {
      upstream.write(chunk)
      return
    }
    const goOn = () => {
      upstream.write(chunk)
      client.resume()
    }
    client.pause()
    void wait.then(goOn)
  })
}

/** What a transaction waits for before it begins; null: nothing. */
function waitOf({ delayMs, held }: State): Promise<void> | null {
  if (held !== null && held.passes > 0) held.passes -= 1
  else if (held !== null) {
    held.reach()
    return held.released
  }
  return delayMs > 0 ? sleep(delayMs) : null
}

/** The instant that was waited for, if this is it. A trap springs once. */
function springAt(state: State): Instant | null {
  const { trap } = state
  if (trap === null) return null
  if (state.passed < trap.passes) {
    state.passed += 1
    return null
  }
  state.trap = null
  trap.spring()
  return trap.instant
}
