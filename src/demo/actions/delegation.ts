/**
 * EIP-7702: accounts that delegate themselves to code, and all the ways in which an authorization has no effect.
 */
import { numberToHex, type SignedAuthorization } from 'viem'
import { ZERO_ADDRESS } from '../../core/types.ts'
import type { Party } from '../party.ts'
import { type Action, authorize, pickStranger, pickUser, type Scene } from '../scene.ts'

const GAS = 400_000n
/** The order of secp256k1: s and its complement both recover the signer, and only the lower one counts (EIP-2). */
const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
/** A chain that none of the local ones is. */
const OTHER_CHAIN_ID = 424_242

const pickDelegate = ({ dice, world }: Scene) => dice.pick(world.delegates)

function pickSponsor(scene: Scene, authority: Party): Party {
  return scene.dice.chance(0.6) ? pickStranger(scene) : pickUser(scene, authority)
}

async function sponsor(
  scene: Scene,
  from: Party,
  authorizations: readonly SignedAuthorization[],
  words: string,
  to = from.address,
): Promise<void> {
  await scene.act(from, { to, authorizations, gas: GAS }, words)
}

async function delegate(scene: Scene): Promise<void> {
  const authority = pickUser(scene)
  const from = pickSponsor(scene, authority)
  // An authorization for chain 0 is good on every chain.
  const chainId = scene.dice.chance(0.3) ? 0 : scene.chainId
  const signed = await authorize(scene, authority, pickDelegate(scene), { chainId })
  await sponsor(scene, from, [signed], `${authority.name} delegates, ${from.name} pays`, authority.address)
}

async function clear(scene: Scene): Promise<void> {
  const authority = pickUser(scene)
  const from = pickSponsor(scene, authority)
  const signed = await authorize(scene, authority, ZERO_ADDRESS)
  await sponsor(scene, from, [signed], `${authority.name} takes the delegation back, ${from.name} pays`)
}

async function delegateOneself(scene: Scene): Promise<void> {
  const authority = pickUser(scene)
  // The transaction itself takes the nonce before its list is looked at.
  const signed = await authorize(scene, authority, pickDelegate(scene), { offset: 1, isEffective: false })
  await sponsor(scene, authority, [signed], `${authority.name} delegates and pays`, scene.world.sink)
  scene.sender.useNonce(authority)
  scene.resting.add(authority.address)
}

async function delegateOneselfWrongly(scene: Scene): Promise<void> {
  const authority = pickUser(scene)
  const signed = await authorize(scene, authority, pickDelegate(scene), { isEffective: false })
  await sponsor(scene, authority, [signed], `${authority.name} delegates with a nonce that the transaction itself uses`)
}

async function delegateTwice(scene: Scene): Promise<void> {
  const authority = pickUser(scene)
  const from = pickSponsor(scene, authority)
  const first = await authorize(scene, authority, pickDelegate(scene))
  const again = scene.dice.chance(0.5)
  // With the nonce of the first one the second has no effect.
  const second = await authorize(scene, authority, scene.world.sink, { offset: again ? 0 : -1, isEffective: again })
  await sponsor(scene, from, [first, second], `${authority.name} delegates twice in one list, ${from.name} pays`)
}

async function delegateTogether(scene: Scene): Promise<void> {
  const a = pickUser(scene)
  const b = pickUser(scene, a)
  const list = [
    await authorize(scene, a, pickDelegate(scene), { chainId: OTHER_CHAIN_ID, isEffective: false }),
    await authorize(scene, b, pickDelegate(scene)),
    await authorize(scene, a, pickDelegate(scene)),
  ]
  await sponsor(scene, pickStranger(scene), list, `${a.name} and ${b.name} delegate in one transaction`)
}

async function delegateInVain(scene: Scene): Promise<void> {
  const authority = pickUser(scene)
  const from = pickSponsor(scene, authority)
  const options = scene.dice.pick([{ offset: 3 }, { offset: 1 }, { chainId: OTHER_CHAIN_ID }])
  const signed = await authorize(scene, authority, pickDelegate(scene), { ...options, isEffective: false })
  const what = 'chainId' in options ? 'another chain' : 'another nonce'
  await sponsor(scene, from, [signed], `${authority.name} delegates for ${what}, in vain`)
}

async function delegateWithBadSignature(scene: Scene): Promise<void> {
  const authority = pickUser(scene)
  const from = pickSponsor(scene, authority)
  const good = await authorize(scene, authority, pickDelegate(scene), { isEffective: false })
  const malleated = {
    ...good,
    s: numberToHex(CURVE_ORDER - BigInt(good.s), { size: 32 }),
    yParity: good.yParity === 0 ? 1 : 0,
  }
  const unrecoverable = { ...good, r: numberToHex(CURVE_ORDER + 5n, { size: 32 }) }
  const list = scene.dice.shuffle([malleated, unrecoverable] as SignedAuthorization[])
  await sponsor(scene, from, list, `somebody bends a signature of ${authority.name}, in vain`)
}

async function delegateContract(scene: Scene): Promise<void> {
  const from = pickStranger(scene)
  const signed = await authorize(scene, scene.guarded, pickDelegate(scene), { isEffective: false })
  await sponsor(scene, from, [signed], `${scene.guarded.name} has code of its own and can't delegate`)
}

/** What the list did stays done when the transaction fails. */
async function delegateInFailure(scene: Scene): Promise<void> {
  const authority = pickUser(scene)
  const from = pickSponsor(scene, authority)
  const signed = await authorize(scene, authority, pickDelegate(scene))
  const words = `${authority.name} delegates in a transaction of ${from.name} that is refused`
  await sponsor(scene, from, [signed], words, scene.world.refusal)
}

/** More free users than any action needs. */
const hasSponsors = (scene: Scene) => scene.strangers.some(({ address }) => !scene.resting.has(address))

export const DELEGATION_ACTIONS: readonly Action[] = [
  { name: 'delegate', run: delegate },
  { name: 'clear a delegation', run: clear },
  { name: 'delegate oneself', run: delegateOneself },
  { name: 'delegate oneself wrongly', run: delegateOneselfWrongly },
  { name: 'delegate twice', run: delegateTwice },
  { name: 'delegate together', run: delegateTogether },
  { name: 'delegate in vain', run: delegateInVain },
  { name: 'delegate with a bad signature', run: delegateWithBadSignature },
  { name: 'delegate a contract', run: delegateContract },
  { name: 'delegate in a failure', run: delegateInFailure },
].map(action => ({ ...action, isPossible: hasSponsors }))
