/**
 * The server's side of websockets, as far as JSON-RPC needs it: text messages in one frame each, close, and ping.
 *
 * Always holds: a frame that it does not know ends the connection, loudly for whoever waits at the other end.
 */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const TEXT = 1
const CLOSE = 8
const PING = 9
const PONG = 10

export type Socket = {
  /** Text, or the bytes of it. */
  send(text: string | Buffer): void
  onText(listener: (text: string) => void): void
  onClose(listener: () => void): void
  /** Cuts it off without a word. */
  destroy(): void
}

/** Accepts what `upgrade` of an HTTP server told of. */
export function acceptSocket(request: IncomingMessage, stream: Duplex): Socket {
  const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}${GUID}`).digest('base64')
  stream.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
  )
  let tell: ((text: string) => void) | null = null
  let received: Buffer = Buffer.alloc(0)
  stream.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    for (let frame = readFrame(received); frame !== null; frame = readFrame(received)) {
      received = received.subarray(frame.length)
      if (frame.opcode === TEXT) tell?.(frame.payload.toString())
      else if (frame.opcode === PING) stream.write(writeFrame(PONG, frame.payload))
      else stream.end(writeFrame(CLOSE, Buffer.alloc(0)))
    }
  })
  stream.on('error', () => stream.destroy())
  return {
    send: text => void stream.write(writeFrame(TEXT, typeof text === 'string' ? Buffer.from(text) : text)),
    onText: listener => void (tell = listener),
    onClose: listener => void stream.on('close', listener),
    destroy: () => void stream.destroy(),
  }
}

type Frame = { readonly opcode: number; readonly payload: Buffer; readonly length: number }

/** null: not all of it is there yet. Whatever clients send is masked. */
function readFrame(bytes: Buffer): Frame | null {
  if (bytes.length < 2) return null
  const short = bytes.readUInt8(1) & 0x7f
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0
  const start = 2 + extended + 4
  if (bytes.length < start) return null
  const size = extended === 0 ? short : extended === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
  if (bytes.length < start + size) return null
  const mask = bytes.subarray(start - 4, start)
  const payload = Buffer.from(bytes.subarray(start, start + size))
  for (let index = 0; index < size; index += 1) payload[index] = (payload[index] ?? 0) ^ (mask[index % 4] ?? 0)
  return { opcode: bytes.readUInt8(0) & 0x0f, payload, length: start + size }
}

function writeFrame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload
  const size =
    length < 126
      ? Buffer.of(length)
      : length < 65_536
        ? Buffer.of(126, length >> 8, length & 0xff)
        : Buffer.concat([Buffer.of(127), bigEndian(length)])
  return Buffer.concat([Buffer.of(0x80 | opcode), size, payload])
}

function bigEndian(length: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(length))
  return bytes
}
