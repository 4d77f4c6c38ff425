/**
 * The life of one address, block by block, as far as its native history goes: written from the rules of the protocol, and knowing
 * nothing of how that history is found.
 *
 * Always holds: an address is either a key's or may become a contract, for good; what could not be done at its moment is not done.
 */

import type { Answer, CodeKind, Question } from '../../../src/core/native-history.ts'
import { fc } from './property.ts'

export type BlockEnd = {
  readonly nonce: number
  readonly balance: bigint
  readonly code: CodeKind
  /** Something gave a native row: value moved, a transaction was sent, an authorization took effect. */
  readonly happened: boolean
  /** The wallet signed a transaction or an authorization in it. */
  readonly signed: boolean
}

export type Life = { readonly isKey: boolean; readonly blocks: readonly BlockEnd[] }

type State = { nonce: number; balance: bigint; code: CodeKind; happened: boolean; signed: boolean }
type Deed = (state: State, sum: bigint) => void

const FEE = 3n

function receive(state: State, sum: bigint): void {
  state.balance += sum
  state.happened = true
}

function pay(state: State, sum: bigint): void {
  state.balance -= sum < state.balance ? sum : state.balance
  state.happened = true
}

/** A transaction of its own: it takes the nonce and the fee, whatever becomes of it. */
function transact(state: State, sum: bigint, fee = FEE): boolean {
  if (state.balance < sum + fee) return false
  state.nonce += 1
  state.balance -= sum + fee
  state.happened = true
  state.signed = true
  return true
}

function authorize(state: State, code: CodeKind): void {
  state.nonce += 1
  state.code = code
  state.happened = true
  state.signed = true
}

/** Deeds of its key, of those who pay it, and of the code that it delegates to. */
const KEY_DEEDS: Readonly<Record<string, Deed>> = {
  'is paid by a transaction, a call, a self-destruct, a withdrawal or a reward': receive,
  'is called with nothing': () => undefined,
  pays: (state, sum) => void transact(state, sum),
  'sends to itself': state => void transact(state, 0n),
  'sends for no fee': state => void transact(state, 0n, 0n),
  'sends what reverts': state => void transact(state, 0n),
  deploys: (state, sum) => void transact(state, sum),
  'pays, and is paid as much': (state, sum) => {
    if (transact(state, sum)) receive(state, sum + FEE)
  },
  'calls what pays it': (state, sum) => {
    if (transact(state, 0n)) receive(state, sum)
  },
  'sends several': (state, sum) => {
    for (let count = sum % 6n; count >= 0n; count -= 1n) transact(state, 0n)
  },
}

const DELEGATION_DEEDS: Readonly<Record<string, Deed>> = {
  delegates: state => authorize(state, 'delegated'),
  'delegates and pays': state => {
    if (transact(state, 0n)) authorize(state, 'delegated')
  },
  'takes the delegation back': state => authorize(state, 'none'),
  'delegates and takes it back, and is swept between': (state, sum) => {
    authorize(state, 'delegated')
    pay(state, sum)
    authorize(state, 'none')
  },
  'pays by its delegation': (state, sum) => {
    if (state.code === 'delegated') pay(state, sum)
  },
  'is paid and pays by its delegation': state => {
    if (state.code === 'delegated') state.happened = true
  },
  'creates by its delegation': state => {
    if (state.code !== 'delegated') return
    state.nonce += 1
    state.happened = true
  },
}

/** Whether a contract can be created there (EIP-684). */
const isFree = ({ nonce, code }: State) => nonce === 0 && code === 'none'

const CONTRACT_DEEDS: Readonly<Record<string, Deed>> = {
  'is paid': receive,
  'is funded, created, swept and destroyed': state => {
    if (isFree(state)) state.happened = true
  },
  'is created, swept and destroyed': state => {
    if (!isFree(state)) return
    state.balance = 0n
    state.happened = true
  },
  'is created': (state, sum) => {
    if (!isFree(state)) return
    state.nonce = 1 + Number(sum % 2n)
    state.code = 'code'
    state.happened = true
  },
  'is created without code, and swept': (state, sum) => {
    if (!isFree(state)) return
    state.nonce = 1 + Number(sum % 3n)
    pay(state, sum)
  },
  'pays as a contract': (state, sum) => {
    if (state.code === 'code') pay(state, sum)
  },
  'is paid and pays as a contract': state => {
    if (state.code === 'code') state.happened = true
  },
  'creates as a contract': state => {
    if (state.code !== 'code') return
    state.nonce += 1
    state.happened = true
  },
  'is destroyed': state => {
    if (state.code !== 'code') return
    Object.assign(state, { nonce: 0, balance: 0n, code: 'none', happened: true })
  },
}

type Moment = { readonly gap: number; readonly deeds: readonly { readonly name: string; readonly sum: bigint }[] }

function live(isKey: boolean, deeds: Readonly<Record<string, Deed>>, moments: readonly Moment[], rest: number): Life {
  // What the genesis block allots.
  const state: State = { nonce: 0, balance: isKey ? 60n : 5n, code: 'none', happened: false, signed: false }
  const blocks: BlockEnd[] = [{ ...state }]
  const end = () => {
    blocks.push({ ...state })
    state.happened = false
    state.signed = false
  }
  for (const { gap, deeds: done } of moments) {
    for (let count = 0; count < gap; count += 1) end()
    for (const { name, sum } of done) deeds[name]?.(state, sum)
    end()
  }
  for (let count = 0; count < rest; count += 1) end()
  return { isKey, blocks }
}

function lifeOf(isKey: boolean, deeds: Readonly<Record<string, Deed>>): fc.Arbitrary<Life> {
  const deed = fc.record({ name: fc.constantFrom(...Object.keys(deeds)), sum: fc.bigInt(1n, 40n) })
  const moment = fc.record({
    gap: fc.oneof(fc.constant(0), fc.nat(3), fc.nat(90)),
    deeds: fc.array(deed, { minLength: 1, maxLength: 4 }),
  })
  return fc
    .tuple(fc.array(moment, { maxLength: 16, size: 'max' }), fc.nat(60))
    .map(([moments, rest]) => live(isKey, deeds, moments, rest))
}

/** Keys that never delegate. */
export const keyLife = lifeOf(true, KEY_DEEDS)
export const delegatingLife = lifeOf(true, { ...KEY_DEEDS, ...DELEGATION_DEEDS })
export const contractLife = lifeOf(false, CONTRACT_DEEDS)

/** A life that is told: what is done in which block, as the deeds above are called. */
export function lifeAs(isKey: boolean, length: number, told: Readonly<Record<number, readonly string[]>>): Life {
  const moments: Moment[] = []
  let next = 1
  for (const [block, names] of Object.entries(told)) {
    moments.push({ gap: Number(block) - next, deeds: names.map(name => ({ name, sum: 12n })) })
    next = Number(block) + 1
  }
  return live(isKey, { ...KEY_DEEDS, ...DELEGATION_DEEDS, ...CONTRACT_DEEDS }, moments, length - next + 1)
}

/** What an honest archive node says. */
export function answerOf({ blocks }: Life, { of, block }: Question): Answer {
  const end = blocks[block]
  if (end === undefined) throw new RangeError(`block ${block} is not there`)
  return of === 'signature' ? end.signed : end[of]
}

/** Whether anything of the account is another than at the parent. */
export function isChanged({ blocks }: Life, block: number): boolean {
  const [before, after] = [blocks[block - 1], blocks[block]]
  return before?.nonce !== after?.nonce || before?.balance !== after?.balance || before?.code !== after?.code
}
