/**
 * The driver's sockets, with an end to waiting and a pause before another try.
 *
 * A server that vanished without a word (its machine died, its address moved to another one) is noticed by its silence: the system
 * itself gives such a connection up after a quarter of an hour, and until then the pool would go on asking it. A pool closes what
 * it does not use, so a socket of a pool that is silent for longer than that has been asked. One that listens may be silent for as long
 * as it likes; if its server vanished, TCP's own probes find out, because nothing is under way on it.
 *
 * Where connections are taken and closed at once, as balancers do that have nobody behind them, the driver connects again without a
 * pause, some hundred times a second: that is what the pause is for.
 */

import { connect, type Socket } from 'node:net'
import type { Clock } from '../runtime/clock.ts'
import { sleepIdly } from '../runtime/sleep.ts'

/** What the driver tells of a connection: a list of places also where there is one, and null for one that is never idle. */
type Connection = {
  readonly host: readonly string[]
  readonly port: readonly number[]
  readonly path?: string | false
  readonly idle_timeout?: number | null
}

const LOOKS_PER_SILENCE = 4
/** After a connection that was closed without a word. */
const PAUSE_MS = 500

/** A maker of sockets for the driver's option `socket`. @param maxSilenceMs longer than a connection may be idle */
export function socketsOf(maxSilenceMs: number, clock: Clock): (connection: Connection) => Promise<Socket> {
  let pausesUntil = Number.NEGATIVE_INFINITY
  return async ({ host: [host = 'localhost'], port: [port = 0], path, idle_timeout: idleTimeout }) => {
    const pause = pausesUntil - clock.monotonic()
    if (pause > 0) await sleepIdly(pause)
    // A message in several packets must not wait for the answer to the first: forty milliseconds, wherever a statement is long.
    const socket = path ? connect(path) : connect({ port, host, noDelay: true })
    socket.once('close', () => {
      if (socket.bytesRead === 0) pausesUntil = clock.monotonic() + PAUSE_MS
    })
    if (idleTimeout !== null) void endSilence(socket, maxSilenceMs)
    // The driver reads them: for the name in a certificate, and for its errors.
    return Object.assign(socket, { host, port })
  }
}

/** Looks by itself: under TLS the driver removes every listener from the socket. */
async function endSilence(socket: Socket, maxSilenceMs: number): Promise<void> {
  let heard = 0
  let looks = 0
  while (!socket.destroyed) {
    await sleepIdly(maxSilenceMs / LOOKS_PER_SILENCE)
    looks = socket.bytesRead === heard ? looks + 1 : 0
    heard = socket.bytesRead
    if (looks > LOOKS_PER_SILENCE)
      socket.destroy(Object.assign(new Error('the server is silent'), { code: 'ETIMEDOUT' }))
  }
}
