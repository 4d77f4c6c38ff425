/**
 * ERC-20 tokens: transfers, mints, burns, approvals, swaps, and amounts that break naive code.
 */
import { ZERO_ADDRESS } from '../../core/types.ts'
import {
  type Action,
  allow,
  encode,
  pickAmount,
  pickCounterparty,
  pickStranger,
  pickUser,
  type Scene,
  show,
} from '../scene.ts'
import type { WorldToken } from '../world.ts'

const MAX_UINT256 = 2n ** 256n - 1n
/** From here on an allowance counts as unlimited: some tokens keep allowances in 96 bits. */
const UNLIMITED = 2n ** 96n - 1n

/** A listed token twice as often as an odd one. */
function pickToken({ dice, world }: Scene): WorldToken {
  return dice.chance(0.66) && world.listed.length > 0 ? dice.pick(world.listed) : dice.pick(world.odd)
}

const showToken = (raw: bigint, token: WorldToken) => show(raw, token.decimals, token.symbol)

async function transfer(scene: Scene): Promise<void> {
  const from = pickUser(scene)
  const to = pickCounterparty(scene, from)
  await transferOf(scene, pickToken(scene), { from, to }, undefined)
}

type Parties = Record<'from' | 'to', Scene['guarded']>

async function transferOf(scene: Scene, token: WorldToken, { from, to }: Parties, fixed?: bigint): Promise<void> {
  const raw = fixed ?? pickAmount(scene, token.decimals)
  const data = encode(scene, 'Token', 'transfer', [to.address, raw])
  const words = `${from.name} sends ${showToken(raw, token)} to ${from === to ? 'the same wallet' : to.name}`
  await scene.act(from, { to: token.address, data }, words)
}

async function receiveToken(scene: Scene): Promise<void> {
  const to = scene.dice.pick([...scene.users, ...scene.watched])
  await transferOf(scene, pickToken(scene), { from: pickStranger(scene), to })
}

async function transferToOneself(scene: Scene): Promise<void> {
  const user = pickUser(scene)
  await transferOf(scene, pickToken(scene), { from: user, to: user })
}

async function transferNothing(scene: Scene): Promise<void> {
  const from = pickUser(scene)
  await transferOf(scene, pickToken(scene), { from, to: pickCounterparty(scene, from) }, 0n)
}

/** At and around what `numeric(30,18)` and 18 decimals can hold. */
async function transferTooMuch(scene: Scene): Promise<void> {
  const { dice } = scene
  const token = dice.chance(0.5) ? pickToken(scene) : dice.pick(scene.world.odd)
  const places = Math.min(token.decimals ?? 18, 60)
  const limit = 10n ** BigInt(12 + places)
  const raw = dice.pick([limit, limit - 1n, limit + 1n, limit / 10n, MAX_UINT256, MAX_UINT256 - 1n, 2n ** 255n])
  const from = pickUser(scene)
  await transferOf(scene, token, { from, to: pickCounterparty(scene, from) }, raw)
}

/** Round numbers of a unit so small that only their zeros let them fit. */
async function transferFineUnits(scene: Scene): Promise<void> {
  const { dice, world } = scene
  const token = dice.pick(world.odd.filter(({ decimals }) => decimals !== null && decimals > 18))
  const zeros = dice.pick([0, 5, 6, 24, 59, 70])
  const from = pickUser(scene)
  const raw = BigInt(dice.integer(1, 9999)) * 10n ** BigInt(zeros)
  await transferOf(scene, token, { from, to: pickCounterparty(scene, from) }, raw)
}

async function collect(scene: Scene): Promise<void> {
  const owner = pickUser(scene)
  const spender = scene.dice.chance(0.5) ? pickUser(scene, owner) : pickStranger(scene)
  const token = pickToken(scene)
  const raw = pickAmount(scene, token.decimals)
  const approve = encode(scene, 'Token', 'approve', [spender.address, raw])
  await scene.act(
    owner,
    { to: token.address, data: approve },
    `${owner.name} allows ${spender.name} ${showToken(raw, token)}`,
  )
  const to = scene.dice.chance(0.5) ? spender : pickCounterparty(scene, owner)
  const data = encode(scene, 'Token', 'transferFrom', [owner.address, to.address, raw])
  const words = `${spender.name} collects ${showToken(raw, token)} from ${owner.name}`
  await scene.act(spender, { to: token.address, data }, words)
}

async function collectWithoutAllowance(scene: Scene): Promise<void> {
  const spender = pickUser(scene)
  const owner = pickUser(scene, spender)
  const token = scene.dice.pick(scene.world.odd)
  const data = encode(scene, 'Token', 'transferFrom', [owner.address, spender.address, MAX_UINT256])
  const words = `${spender.name} tries to take tokens of ${owner.name}, in vain`
  await scene.act(spender, { to: token.address, data }, words)
}

async function mint(scene: Scene): Promise<void> {
  const user = pickUser(scene)
  const token = pickToken(scene)
  const raw = pickAmount(scene, token.decimals)
  const data = encode(scene, 'Token', 'mint', [user.address, raw])
  const sender = scene.dice.chance(0.5) ? user : pickStranger(scene)
  await scene.act(sender, { to: token.address, data }, `${sender.name} mints ${showToken(raw, token)} to ${user.name}`)
}

async function mintToNobody(scene: Scene): Promise<void> {
  const user = pickUser(scene)
  const data = encode(scene, 'Token', 'mint', [ZERO_ADDRESS, 5n])
  await scene.act(user, { to: pickToken(scene).address, data }, `${user.name} mints to nobody`)
}

async function burn(scene: Scene): Promise<void> {
  const user = pickUser(scene)
  const token = pickToken(scene)
  const raw = pickAmount(scene, token.decimals)
  const data = encode(scene, 'Token', 'burn', [raw])
  await scene.act(user, { to: token.address, data }, `${user.name} burns ${showToken(raw, token)}`)
}

function approving(name: string, amountOf: (scene: Scene, token: WorldToken) => bigint): Action {
  const run = async (scene: Scene) => {
    const owner = pickUser(scene)
    const spender = pickCounterparty(scene, owner)
    const token = pickToken(scene)
    const raw = amountOf(scene, token)
    const data = encode(scene, 'Token', 'approve', [spender.address, raw])
    await scene.act(owner, { to: token.address, data }, `${owner.name}: ${name} for ${spender.name} of ${token.symbol}`)
  }
  return { name, run }
}

/** The tokens of two owners in one transaction, sent by one of them or by somebody else. */
async function exchange(scene: Scene): Promise<void> {
  const a = pickUser(scene)
  const b = pickUser(scene, a)
  const sender = scene.dice.pick([a, b, pickStranger(scene), pickUser(scene, a, b)])
  const token = pickToken(scene)
  await allow(scene, a, token, scene.world.settlement)
  await allow(scene, b, token, scene.world.settlement)
  const [ofA, ofB] = [pickAmount(scene, token.decimals), pickAmount(scene, token.decimals)]
  const data = encode(scene, 'Settlement', 'exchange', [token.address, a.address, b.address, ofA, ofB])
  const words = `${sender.name} settles ${token.symbol} between ${a.name} and ${b.name}`
  await scene.act(sender, { to: scene.world.settlement, data }, words)
}

async function swapTokens(scene: Scene): Promise<void> {
  const user = pickUser(scene)
  const { address, token0, token1 } = scene.world.tokenPool
  await allow(scene, user, token0, address)
  const raw = BigInt(scene.dice.integer(1, 200)) * 10n ** BigInt(token0.decimals ?? 18)
  const data = encode(scene, 'Pool', 'buy1', [raw])
  await scene.act(user, { to: address, data }, `${user.name} swaps ${showToken(raw, token0)} for ${token1.symbol}`)
}

async function swapNative(scene: Scene): Promise<void> {
  const user = pickUser(scene)
  const { address, token1 } = scene.world.nativePool
  const value = BigInt(scene.dice.integer(1, 900)) * 10n ** 15n
  const words = `${user.name} swaps ${show(value, 18, scene.world.nativeSymbol)} for ${token1.symbol}`
  await scene.act(user, { to: address, value, data: encode(scene, 'Pool', 'buy1', [0n]) }, words)
}

export const TOKEN_ACTIONS: readonly Action[] = [
  { name: 'transfer', run: transfer },
  { name: 'transfer', run: transfer },
  { name: 'transfer', run: transfer },
  { name: 'receive a token', run: receiveToken },
  { name: 'transfer to oneself', run: transferToOneself },
  { name: 'transfer nothing', run: transferNothing },
  { name: 'transfer too much', run: transferTooMuch },
  { name: 'transfer too much', run: transferTooMuch },
  { name: 'transfer fine units', run: transferFineUnits },
  { name: 'collect', run: collect },
  { name: 'collect without allowance', run: collectWithoutAllowance },
  { name: 'mint', run: mint },
  { name: 'mint to nobody', run: mintToNobody },
  { name: 'burn', run: burn },
  approving('an allowance', (scene, { decimals }) => pickAmount(scene, decimals)),
  approving('an unlimited allowance', ({ dice }) => dice.pick([MAX_UINT256, UNLIMITED, UNLIMITED + 1n])),
  approving('the largest limited allowance', () => UNLIMITED - 1n),
  approving('a revoked allowance', () => 0n),
  { name: 'exchange', run: exchange },
  { name: 'swap tokens', run: swapTokens },
  { name: 'swap native', run: swapNative },
]
