/**
 * An account as the state of a block has it: nonce, balance, code; from whichever endpoint still keeps that state.
 *
 * One call each, by the three oldest methods there are. `eth_getProof` would give all three in one, but a search asks for one of them at
 * a time, and archive nodes refuse proofs of old blocks, or take seconds for one.
 */

import { numberToHex } from 'viem/utils'
import type { Priority } from '../core/budget.ts'
import type { AccountState } from '../core/native-history-explain.ts'
import type { Address, Hex } from '../core/types.ts'
import { AppError } from '../errors.ts'
import { createArchiveControl } from './account-control.ts'
import type { Endpoint } from './endpoint.ts'
import { EndpointFailure } from './failure.ts'
import { parseBytes, parseQuantity } from './parse.ts'
import type { Asker, Pool } from './pool.ts'

export type StateQuestion = {
  readonly address: Address
  readonly blockNumber: number
  readonly priority: Priority
  readonly signal: AbortSignal
}

/** null: no endpoint keeps that state any more. */
export type States = {
  nonce(question: StateQuestion): Promise<number | null>
  balance(question: StateQuestion): Promise<bigint | null>
  code(question: StateQuestion): Promise<Hex | null>
  /** @param witnesses how many endpoints have to say the same, where so many can be asked */
  account(question: StateQuestion, witnesses: number): Promise<AccountState | null>
}

type Told<T> = { readonly endpoint: Endpoint; readonly value: T }
type Work<T> = (asker: Asker) => Promise<T>

export function createStates(pool: Pool): States {
  const control = createArchiveControl(pool)

  /** Those that are known to have pruned theirs come last. */
  const ask = async <T>({ blockNumber, priority, signal }: StateQuestion, work: Work<T>): Promise<Told<T> | null> => {
    const question = { signal, priority, height: blockNumber, needs: 'archive' } as const
    // Live work asks about the parents of the newest blocks, which nobody has forgotten.
    const isShown = priority === 'live' ? null : await control.prepare(blockNumber, question)
    const gone = new Set<Endpoint>()
    for (;;) {
      const goneBefore = gone.size
      const told = await pool.attempt(async asker => {
        const { endpoint } = asker
        try {
          if (isShown === null || (await isShown(asker))) return { endpoint, value: await work(asker) }
        } catch (error) {
          if (!(error instanceof EndpointFailure) || error.kind !== 'state-gone') throw error
        }
        gone.add(endpoint)
        endpoint.abilities.note('archive', false)
        return null
      }, question)
      // null from the one that was asked before: all have been.
      if (told !== null || gone.size === goneBefore || gone.size >= pool.endpoints.length) return told
    }
  }

  const account = async (question: StateQuestion, witnesses: number) => {
    const told = await ask(question, askAccount(question))
    if (told === null) return null
    const others = pool.endpoints.filter(
      one => one !== told.endpoint && one.abilities.may('archive') && one.standing.restMs(question.priority) === 0,
    )
    for (const other of others.slice(0, witnesses - 1)) await compare(pool, other, told, question)
    return told.value
  }

  return {
    nonce: async question => (await ask(question, askNonce(question)))?.value ?? null,
    balance: async question => (await ask(question, askBalance(question)))?.value ?? null,
    code: async question => (await ask(question, askCode(question)))?.value ?? null,
    account,
  }
}

/** One that can't answer proves nothing. @throws AppError RPC_INCONSISTENT where it says something else */
async function compare(
  pool: Pool,
  other: Endpoint,
  { endpoint, value }: Told<AccountState>,
  question: StateQuestion,
): Promise<void> {
  const { blockNumber, signal, priority } = question
  const second = await pool.once(other, askAccount(question), signal, priority).catch(() => null)
  if (second === null || (second.nonce === value.nonce && second.balance === value.balance)) return
  throw new AppError('RPC_INCONSISTENT', `${endpoint.name} and ${other.name} differ about an account.`, {
    facts: { block: blockNumber, endpoint: endpoint.name, other: other.name },
    hint: 'One of them has a wrong state; find out which with a third one, and remove it from the configuration.',
  })
}

const params = ({ address, blockNumber }: StateQuestion) => [address, numberToHex(blockNumber)]

function askNonce(question: StateQuestion): Work<number> {
  return async ({ request }) =>
    Number(parseQuantity(await request('eth_getTransactionCount', params(question)), 'nonce'))
}

function askBalance(question: StateQuestion): Work<bigint> {
  return async ({ request }) => parseQuantity(await request('eth_getBalance', params(question)), 'balance')
}

function askCode(question: StateQuestion): Work<Hex> {
  return async ({ request }) => parseBytes(await request('eth_getCode', params(question)), 'code')
}

function askAccount(question: StateQuestion): Work<AccountState> {
  return async asker => {
    const [nonce, balance] = await Promise.all([askNonce(question)(asker), askBalance(question)(asker)])
    return { nonce, balance }
  }
}
