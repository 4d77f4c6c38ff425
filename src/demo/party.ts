/**
 * The people of the local world: keys, addresses and names.
 *
 * Always holds: a party has the same key on every chain and in every run, because it is made from its name. The keys are public
 * by that, as those of every development chain are: they are worth nothing anywhere else.
 */
import { getAddress, keccak256, toHex } from 'viem'
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'
import type { Address, Hex } from '../core/types.ts'

export type Party = {
  readonly name: string
  /** Lower case. */
  readonly address: Address
  /** The address as an application might have stored it: lower case, checksummed or upper case. */
  readonly spelling: string
  readonly key: Hex
  readonly account: PrivateKeyAccount
}

const NAMES = 'Ada Ben Cleo Dara Emil Fay Gus Hana Ivo Juno Kofi Lena Milo Nadia Otto Pia Quin Rosa Sami Tova'.split(
  ' ',
)

/** The n-th user, from 0 on. */
export function makeUser(index: number): Party {
  const name = NAMES[index % NAMES.length] as string
  const round = Math.floor(index / NAMES.length)
  return makeParty(round === 0 ? name : `${name} ${round + 1}`, index)
}

/** `style` chooses the spelling. */
export function makeParty(name: string, style = 0): Party {
  const key = keccak256(toHex(`a party of the local world: ${name}`))
  const account = privateKeyToAccount(key)
  const address = account.address.toLowerCase() as Address
  const checksummed = getAddress(address)
  const spellings = [checksummed, address, `0x${address.slice(2).toUpperCase()}`]
  return { name, address, spelling: spellings[style % spellings.length] as string, key, account }
}
