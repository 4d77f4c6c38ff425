/**
 * The driver's sockets, with an end to waiting: a server that vanished without a word (its machine died, an address moved to
 * another one) is noticed by its silence.
 *
 * The system itself gives such a connection up after a quarter of an hour, and until then the pool would go on asking it. A socket
 * on which nothing was asked may be silent for as long as it likes.
 */

import { connect, type Socket } from 'node:net'
import { sleepIdly } from '../runtime/sleep.ts'

/** What the driver tells of where to go; it has a list also for one. */
type Place = { readonly host: readonly string[]; readonly port: readonly number[]; readonly path?: string | false }

const LOOKS_PER_SILENCE = 4

/** A maker of sockets for the driver's option `socket`. */
export function socketsOf(maxSilenceMs: number): (place: Place) => Socket {
  return ({ host: [host = 'localhost'], port: [port = 0], path }) => {
    const socket = path ? connect(path) : connect(port, host)
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
