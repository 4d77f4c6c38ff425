/**
 * Whether an endpoint tells the state of the block that it is asked about.
 *
 * Some pass over the block and tell the newest state, or do so below the height that they keep: by that an account never changed, and its
 * whole history would seem to be empty. So before old states of an endpoint are believed it has to show, near the lowest height that is
 * asked about, what a transaction proves: its sender's nonce was used after its block, and not before. That is asked once of each
 * endpoint, and again for lower heights.
 */

import { numberToHex } from 'viem/utils'
import type { Address } from '../core/types.ts'
import { askRawBlock, type BlockAnswer } from './blocks.ts'
import type { Endpoint } from './endpoint.ts'
import { parseQuantity } from './parse.ts'
import type { Asker, Pool, Question } from './pool.ts'

/** Each block that is looked at is twice as far from the height as the one before: the last a million blocks above it. */
const MAX_LOOKS = 21
/** Types of transactions that raise their sender's nonce on every chain; those of rollups (deposits and the like) may not. */
const ORDINARY_TYPES: ReadonlySet<unknown> = new Set([undefined, '0x0', '0x1', '0x2', '0x3', '0x4'])

type Control = { readonly block: number; readonly sender: Address; readonly nonce: number }
/** Where no transaction is near there is nothing to show, and nothing that could be missed. */
type Made = { readonly from: number; readonly control: Promise<Control | null> }

export type ArchiveControl = {
  /** Makes sure that there is a control for states of this height. @returns the question to each endpoint */
  prepare(height: number, question: Question): Promise<(asker: Asker) => Promise<boolean>>
}

export function createArchiveControl(pool: Pool): ArchiveControl {
  const shownFrom = new Map<Endpoint, number>()
  let made: Made | null = null

  const controlAt = async (height: number, question: Question): Promise<Made> => {
    const known = made
    if (known !== null && known.from <= height) {
      try {
        await known.control
        return known
      } catch {
        // Whoever asked for it was stopped, or nobody answered then.
        if (made === known) made = null
      }
    }
    const fresh = { from: height, control: findControl(pool, height, question) }
    made = fresh
    await fresh.control
    return fresh
  }

  return {
    async prepare(height, question) {
      const { from, control: pending } = await controlAt(height, question)
      const control = await pending
      return async asker => {
        const { endpoint } = asker
        if (control === null || (shownFrom.get(endpoint) ?? Number.POSITIVE_INFINITY) <= from) return true
        if (await shows(asker, control)) {
          shownFrom.set(endpoint, from)
          return true
        }
        endpoint.lies += 1
        // Whoever told of the transaction may have been wrong instead: the next time it is another one.
        made = null
        return false
      }
    },
  }
}

async function shows({ request }: Asker, { block, sender, nonce }: Control): Promise<boolean> {
  const [before, after] = await Promise.all(
    [block - 1, block].map(async number =>
      parseQuantity(await request('eth_getTransactionCount', [sender, numberToHex(number)]), 'nonce'),
    ),
  )
  return before !== undefined && after !== undefined && before <= BigInt(nonce) && after > BigInt(nonce)
}

/** The first transaction that is found at a height or above. */
async function findControl(pool: Pool, height: number, question: Question): Promise<Control | null> {
  for (let look = 0; look < MAX_LOOKS; look += 1) {
    const number = height + (look === 0 ? 1 : 1 + 2 ** (look - 1))
    const answer = await pool.attempt(asker => askRawBlock(asker, number), { ...question, height: number })
    if (answer === null) return null
    const control = controlIn(answer)
    if (control !== null) return control
  }
  return null
}

function controlIn({ told, parsed }: BlockAnswer): Control | null {
  const { transactions } = told as { readonly transactions: readonly { readonly type?: unknown }[] }
  const index = transactions.findIndex(({ type }) => ORDINARY_TYPES.has(type))
  const transaction = parsed.transactions[index]
  return transaction === undefined ? null : { block: parsed.number, sender: transaction.from, nonce: transaction.nonce }
}
