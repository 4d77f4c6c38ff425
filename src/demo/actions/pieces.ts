/**
 * ERC-721 and ERC-1155: tokens that are counted in pieces.
 */
import { type Address, ZERO_ADDRESS } from '../../core/types.ts'
import { type Action, encode, pickCounterparty, pickStranger, pickUser, type Scene } from '../scene.ts'

const MAX_UINT256 = 2n ** 256n - 1n

function pickTokenId({ dice }: Scene): bigint {
  return dice.pick([0n, BigInt(dice.integer(1, 9999)), dice.bits(128), MAX_UINT256])
}

/** Quantities around what `numeric(30,18)` holds are rare but real. */
function pickQuantity({ dice }: Scene): bigint {
  return dice.pick([0n, 1n, BigInt(dice.integer(2, 500)), BigInt(dice.integer(2, 500)), 10n ** 12n, 10n ** 12n - 1n])
}

async function actOnNft(
  scene: Scene,
  functionName: string,
  args: readonly unknown[],
  words: string,
  from = pickUser(scene),
) {
  const to = scene.dice.pick(scene.world.nfts)
  await scene.act(from, { to, data: encode(scene, 'Nft', functionName, args) }, words)
}

async function mintNft(scene: Scene): Promise<void> {
  const owner = pickUser(scene)
  const sender = scene.dice.pick([owner, pickStranger(scene)])
  await actOnNft(scene, 'mint', [owner.address, pickTokenId(scene)], `${owner.name} gets a new piece`, sender)
}

async function transferNft(scene: Scene): Promise<void> {
  const owner = pickUser(scene)
  const to = scene.dice.chance(0.15) ? owner : pickCounterparty(scene, owner)
  const sender = scene.dice.pick([owner, owner, pickStranger(scene)])
  const args = [owner.address, to.address, pickTokenId(scene)]
  await actOnNft(scene, 'transferFrom', args, `a piece goes from ${owner.name} to ${to.name}`, sender)
}

async function burnNft(scene: Scene): Promise<void> {
  const owner = pickUser(scene)
  await actOnNft(scene, 'burn', [pickTokenId(scene)], `${owner.name} burns a piece`, owner)
}

async function approveNft(scene: Scene): Promise<void> {
  const owner = pickUser(scene)
  const approved = scene.dice.chance(0.4) ? ZERO_ADDRESS : pickCounterparty(scene, owner).address
  await actOnNft(scene, 'approve', [approved, pickTokenId(scene)], `${owner.name} approves a piece`, owner)
}

async function approveAllNfts(scene: Scene): Promise<void> {
  const owner = pickUser(scene)
  const approved = scene.dice.chance(0.6)
  const operator = pickCounterparty(scene, owner)
  const words = `${owner.name} ${approved ? 'lets' : 'no longer lets'} ${operator.name} move all pieces`
  await actOnNft(scene, 'setApprovalForAll', [operator.address, approved], words, owner)
}

type Ends = { readonly from: Address; readonly to: Address; readonly words: string }

/** Whence and whither: a transfer, a mint, a burn, or to oneself. */
function pickEnds(scene: Scene): Ends & { readonly owner: ReturnType<typeof pickUser> } {
  const owner = pickUser(scene)
  const other = pickCounterparty(scene, owner)
  const ends = scene.dice.pick<Ends>([
    { from: owner.address, to: other.address, words: `go from ${owner.name} to ${other.name}` },
    { from: other.address, to: owner.address, words: `go from ${other.name} to ${owner.name}` },
    { from: ZERO_ADDRESS, to: owner.address, words: `are minted to ${owner.name}` },
    { from: owner.address, to: ZERO_ADDRESS, words: `of ${owner.name} are burnt` },
    { from: owner.address, to: owner.address, words: `stay with ${owner.name}` },
  ])
  return { ...ends, owner }
}

async function moveMulti(scene: Scene): Promise<void> {
  const { from, to, words, owner } = pickEnds(scene)
  const data = encode(scene, 'MultiToken', 'move', [from, to, pickTokenId(scene), pickQuantity(scene)])
  const sender = scene.dice.pick([owner, pickStranger(scene)])
  await scene.act(sender, { to: scene.dice.pick(scene.world.multiTokens), data }, `multi-tokens ${words}`)
}

async function moveBatch(scene: Scene): Promise<void> {
  const { dice } = scene
  const { from, to, words, owner } = pickEnds(scene)
  const ids = Array.from({ length: dice.integer(1, 5) }, () => pickTokenId(scene))
  // The same id twice in one batch is allowed, and each is an item of its own.
  if (dice.chance(0.6)) ids.push(ids[0] as bigint)
  const args = [from, to, ids, ids.map(() => pickQuantity(scene))]
  const data = encode(scene, 'MultiToken', 'moveBatch', args)
  const sender = dice.pick([owner, pickStranger(scene)])
  await scene.act(
    sender,
    { to: dice.pick(scene.world.multiTokens), data },
    `${ids.length} kinds of multi-tokens ${words}`,
  )
}

async function moveEmptyBatch(scene: Scene): Promise<void> {
  const { from, to, owner } = pickEnds(scene)
  const data = encode(scene, 'MultiToken', 'moveBatch', [from, to, [], []])
  await scene.act(owner, { to: scene.dice.pick(scene.world.multiTokens), data }, `${owner.name} moves an empty batch`)
}

async function approveMulti(scene: Scene): Promise<void> {
  const owner = pickUser(scene)
  const approved = scene.dice.chance(0.6)
  const data = encode(scene, 'MultiToken', 'setApprovalForAll', [pickCounterparty(scene, owner).address, approved])
  const words = `${owner.name} ${approved ? 'approves' : 'revokes'} an operator of multi-tokens`
  await scene.act(owner, { to: scene.dice.pick(scene.world.multiTokens), data }, words)
}

export const PIECE_ACTIONS: readonly Action[] = [
  { name: 'mint a piece', run: mintNft },
  { name: 'transfer a piece', run: transferNft },
  { name: 'burn a piece', run: burnNft },
  { name: 'approve a piece', run: approveNft },
  { name: 'approve all pieces', run: approveAllNfts },
  { name: 'move multi-tokens', run: moveMulti },
  { name: 'move multi-tokens', run: moveMulti },
  { name: 'move a batch', run: moveBatch },
  { name: 'move a batch', run: moveBatch },
  { name: 'move an empty batch', run: moveEmptyBatch },
  { name: 'approve multi-tokens', run: approveMulti },
]
