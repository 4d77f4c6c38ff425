/**
 * JSON text with holes: what is the same at every height is written once, what differs is filled in when it is asked for.
 *
 * Always holds: each hole is eight characters wide, so filling is a copy of the text and eight bytes a hole, and costs no more than
 * sending it. In the text before it is cut, a hole is a mark (`@` and seven digits) that names its slot; a filled text has no mark.
 */

const HOLE_WIDTH = 8
const MARK = /@([0-9a-f]{7})/g

/** Slots of what belongs to the block; those of its transactions' hashes come after them. */
export const SLOT = { number: 0, timestamp: 1, blockHash: 2, parentHash: 3, transactions: 4 } as const

/** Eight bytes for each slot. */
export type Filling = Uint8Array

export type Sheet = {
  readonly bytes: Buffer
  readonly offsets: Uint32Array
  readonly slots: Uint16Array
  /** Where each item of the list begins and ends; empty if it is no list. */
  readonly items: readonly { readonly start: number; readonly end: number }[]
}

/** The mark of a slot, to stand where eight characters are filled in. */
export function mark(slot: number): string {
  return `@${slot.toString(16).padStart(HOLE_WIDTH - 1, '0')}`
}

/** A sheet of one JSON value. */
export function cutSheet(value: unknown): Sheet {
  return cut(JSON.stringify(value), [])
}

/** A sheet of a JSON list whose items can be taken one by one. */
export function cutList(values: readonly unknown[]): Sheet {
  const texts = values.map(value => JSON.stringify(value))
  let end = 0
  // One character before each item: the bracket or a comma.
  const items = texts.map(text => {
    const start = end + 1
    end = start + text.length
    return { start, end }
  })
  return cut(`[${texts.join(',')}]`, items)
}

function cut(text: string, items: Sheet['items']): Sheet {
  const marks = [...text.matchAll(MARK)]
  return {
    bytes: Buffer.from(text, 'latin1'),
    offsets: Uint32Array.from(marks, ({ index }) => index),
    slots: Uint16Array.from(marks, match => Number.parseInt(match[1] ?? '', 16)),
    items,
  }
}

/** Makes room for the slots of a block with so many transactions. */
export function createFilling(transactions: number): Filling {
  return new Uint8Array((SLOT.transactions + transactions) * HOLE_WIDTH)
}

/** Sets a slot to eight ASCII characters. */
export function setSlot(filling: Filling, slot: number, text: string): void {
  for (let index = 0; index < HOLE_WIDTH; index += 1) filling[slot * HOLE_WIDTH + index] = text.charCodeAt(index)
}

/** The text with its holes filled. */
export function fill({ bytes, offsets, slots }: Sheet, filling: Filling): Buffer {
  const filled = Buffer.from(bytes)
  // Four bytes at a time: there are five hundred holes in a block, and a node answers thousands of blocks a second.
  const to = new DataView(filled.buffer, filled.byteOffset, filled.length)
  const from = new DataView(filling.buffer)
  for (let hole = 0; hole < offsets.length; hole += 1) {
    const at = offsets[hole] ?? 0
    const slot = (slots[hole] ?? 0) * HOLE_WIDTH
    to.setUint32(at, from.getUint32(slot))
    to.setUint32(at + 4, from.getUint32(slot + 4))
  }
  return filled
}
