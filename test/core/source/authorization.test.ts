import { privateKeyToAccount } from 'viem/accounts'
import { expect, test } from 'vitest'
import { type RawAuthorization, recoverAuthority } from '../../../src/source/authorization.ts'
import { addressOf } from '../support/build.ts'

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const account = privateKeyToAccount(`0x${'11'.repeat(32)}`)
const signer = account.address.toLowerCase()
const delegate = addressOf(0xde1e)

async function sign(chainId: number, nonce: number): Promise<RawAuthorization> {
  const { r, s, yParity } = await account.signAuthorization({ chainId, address: delegate, nonce })
  return {
    chainId: BigInt(chainId),
    delegate,
    nonce: BigInt(nonce),
    r: BigInt(r),
    s: BigInt(s),
    yParity: BigInt(yParity ?? 0),
  }
}

test.each([
  [1, 0],
  [0, 0],
  [11155111, 5],
  [1, 2 ** 40],
])('who signed for chain %i with nonce %i is found', async (chainId, nonce) => {
  expect(await recoverAuthority(await sign(chainId, nonce))).toEqual({
    chainId: BigInt(chainId),
    delegate,
    nonce: BigInt(nonce),
    authority: signer,
  })
})

test.each<[string, (raw: RawAuthorization) => Partial<RawAuthorization>]>([
  ['the malleable twin of a signature', ({ s, yParity }) => ({ s: ORDER - s, yParity: 1n - yParity })],
  ['a parity of 2', () => ({ yParity: 2n })],
  ['a parity of 27', () => ({ yParity: 27n })],
  ['r of nothing', () => ({ r: 0n })],
  ['s of nothing', () => ({ s: 0n })],
  ['r beyond the order', () => ({ r: ORDER })],
  ['the largest r', () => ({ r: 2n ** 256n - 1n })],
  ['r that is no point', () => ({ r: 5n })],
  ['the highest nonce', () => ({ nonce: 2n ** 64n - 1n })],
  ['a nonce beyond any', () => ({ nonce: 2n ** 255n })],
  ['a nonce that no account can reach', () => ({ nonce: 2n ** 60n })],
  ['a chain id of 256 bits', () => ({ chainId: 2n ** 255n })],
])('%s is nobody’s', async (_name, change) => {
  const raw = await sign(1, 0)
  const { authority, ...rest } = await recoverAuthority({ ...raw, ...change(raw) })
  expect(authority).toBeNull()
  expect(rest.delegate).toBe(delegate)
})

test.each<[string, Partial<RawAuthorization>]>([
  ['chain', { chainId: 2n }],
  ['nonce', { nonce: 1n }],
  ['delegate', { delegate: addressOf(0xbad) }],
])('what was signed for another %s is not the signer’s', async (_name, change) => {
  const { authority } = await recoverAuthority({ ...(await sign(1, 0)), ...change })
  expect(authority).not.toBe(signer)
})
