/**
 * The driver's sockets, with an end to waiting and a pause before trying again.
 *
 * A server that vanished without a word (its machine died, an address moved to another one) is noticed by its silence: the system
 * itself gives such a connection up after a quarter of an hour, and until then the pool would go on asking it. A socket on which
 * nothing was asked may be silent for as long as it likes. And where connections are taken and closed at once, as balancers do that
 * have nobody behind them, the driver would connect again without a pause, some thousand times a second.
 */

import { connect, type Socket } from 'node:net'
import type { Clock } from '../runtime/clock.ts'
import { sleepIdly } from '../runtime/sleep.ts'

/** What the driver tells of where to go; it has a list also for one. */
type Place = { readonly host: readonly string[]; readonly port: readonly number[]; readonly path?: string | false }

const LOOKS_PER_SILENCE = 4
/** After a connection that was closed without a word. */
const PAUSE_MS = 500

/** A maker of sockets for the driver's option `socket`. */
export function socketsOf(maxSilenceMs: number, clock: Clock): (place: Place) => Promise<Socket> {
  let pausesUntil = Number.NEGATIVE_INFINITY
  return async ({ host: [host = 'localhost'], port: [port = 0], path }) => {
    const pause = pausesUntil - clock.monotonic()
    if (pause > 0) await sleepIdly(pause)
    const socket = path ? connect(path) : connect(port, host)
    socket.once('close', () => {
      if (socket.bytesRead === 0) pausesUntil = clock.monotonic() + PAUSE_MS
    })
    void endSilence(socket, maxSilenceMs)
    // The driver reads them: for the name in a certificate, and for its errors.
    return Object.assign(socket, { host, port })
  }
}

/** Looks by itself: under TLS the driver removes every listener from the socket. */
async function endSilence(socket: Socket, maxSilenceMs: number): Promise<void> {
  let heard = 0
  let written = 0
  let looks = 0
  while (!socket.destroyed) {
    await sleepIdly(maxSilenceMs / LOOKS_PER_SILENCE)
    if (socket.bytesRead !== heard) {
      heard = socket.bytesRead
      written = socket.bytesWritten
    }
    looks = socket.bytesWritten === written ? 0 : looks + 1
    if (looks > LOOKS_PER_SILENCE)
      socket.destroy(Object.assign(new Error('the server is silent'), { code: 'ETIMEDOUT' }))
  }
}
