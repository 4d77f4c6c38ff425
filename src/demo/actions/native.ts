/**
 * Native value, calls, deployments, and all of these refused.
 */
import { type Action, encode, pickCounterparty, pickStranger, pickUser, type Scene, show } from '../scene.ts'

const ETHER = 10n ** 18n
const DEPLOYMENT_GAS = 1_500_000n
/** Init code that reverts: PUSH1 0, PUSH1 0, REVERT. */
const REVERTING_INIT_CODE = '0x60006000fd'
/** 10^12 whole coins and one wei: more than `numeric(30,18)` holds. */
const BEYOND_NUMERIC = 10n ** 30n + 1n

function pickValue({ dice }: Scene): bigint {
  if (dice.chance(0.15)) return 1n
  return (BigInt(dice.integer(1, 3000)) * ETHER) / 1000n
}

const native = (scene: Scene, value: bigint) => show(value, 18, scene.world.nativeSymbol)

async function pay(scene: Scene): Promise<void> {
  const from = pickUser(scene)
  const to = pickCounterparty(scene, from)
  const value = pickValue(scene)
  await scene.act(from, { to: to.address, value }, `${from.name} sends ${native(scene, value)} to ${to.name}`)
}

async function receive(scene: Scene): Promise<void> {
  const from = pickStranger(scene)
  const to = scene.dice.pick([...scene.users, ...scene.watched])
  const value = pickValue(scene)
  await scene.act(from, { to: to.address, value }, `${from.name} sends ${native(scene, value)} to ${to.name}`)
}

async function receiveFortune(scene: Scene): Promise<void> {
  const from = pickStranger(scene)
  const to = pickUser(scene)
  const words = `${from.name} sends ${to.name} ${native(scene, BEYOND_NUMERIC)}`
  await scene.act(from, { to: to.address, value: BEYOND_NUMERIC }, words)
}

async function payOneself(scene: Scene): Promise<void> {
  const user = pickUser(scene)
  const value = scene.dice.chance(0.7) ? pickValue(scene) : 0n
  const words = `${user.name} sends ${native(scene, value)} to the same wallet`
  await scene.act(user, { to: user.address, value }, words)
}

async function callWithNothing(scene: Scene): Promise<void> {
  const from = pickUser(scene)
  const to = pickCounterparty(scene, from)
  await scene.act(from, { to: to.address }, `${from.name} calls ${to.name} with no value and no data`)
}

async function payWithNote(scene: Scene): Promise<void> {
  const from = pickUser(scene)
  const to = pickCounterparty(scene, from)
  const value = scene.dice.chance(0.7) ? pickValue(scene) : 0n
  // Fewer than four bytes are calldata, but no selector.
  const data = scene.dice.pick(['0x68656c6c6f', '0x6f6b', '0xdeadbeef'] as const)
  await scene.act(from, { to: to.address, value, data }, `${from.name} sends ${native(scene, value)} with a note`)
}

async function payContract(scene: Scene): Promise<void> {
  const from = pickUser(scene)
  const value = pickValue(scene)
  const data = scene.dice.chance(0.5) ? '0x' : '0x12345678'
  const words = `${from.name} sends ${native(scene, value)} to a contract`
  await scene.act(from, { to: scene.world.sink, value, data }, words)
}

async function deploy(scene: Scene): Promise<void> {
  const user = pickUser(scene)
  const { contracts } = scene.world
  const value = scene.dice.chance(0.5) ? pickValue(scene) : 0n
  const data = value > 0n ? contracts.Sink.creation : scene.dice.pick([contracts.Nft, contracts.Token]).creation
  const words = `${user.name} deploys a contract with ${native(scene, value)}`
  await scene.act(user, { to: null, value, data, gas: DEPLOYMENT_GAS }, words)
}

async function deployNothing(scene: Scene): Promise<void> {
  const user = pickUser(scene)
  await scene.act(user, { to: null, gas: DEPLOYMENT_GAS }, `${user.name} deploys a contract without code`)
}

async function beRefused(scene: Scene): Promise<void> {
  const user = pickUser(scene)
  const value = scene.dice.chance(0.5) ? pickValue(scene) : 0n
  const words = `${user.name} calls a contract that refuses, with ${native(scene, value)}`
  await scene.act(user, { to: scene.world.refusal, value, data: '0x01020304' }, words)
}

async function beRefusedDeployment(scene: Scene): Promise<void> {
  const user = pickUser(scene)
  const value = scene.dice.chance(0.5) ? pickValue(scene) : 0n
  const data = scene.dice.chance(0.5) ? REVERTING_INIT_CODE : scene.world.contracts.Refusal.creation
  const words = `${user.name} deploys a contract that refuses to be`
  await scene.act(user, { to: null, value, data, gas: DEPLOYMENT_GAS }, words)
}

async function runOutOfGas(scene: Scene): Promise<void> {
  const user = pickUser(scene)
  const data = encode(scene, 'Nft', 'mint', [user.address, scene.dice.bits(64)])
  // Enough to be accepted (an access list would need more), too little to log.
  const draft = { to: scene.dice.pick(scene.world.nfts), data, gas: 23_500n, kind: 'eip1559' } as const
  await scene.act(user, draft, `${user.name} runs out of gas`)
}

async function strangersPay(scene: Scene): Promise<void> {
  const from = pickStranger(scene)
  const to = scene.dice.pick(scene.strangers.filter(one => one !== from))
  await scene.act(from, { to: to.address, value: pickValue(scene) }, `${from.name} pays ${to.name}, whom nobody tracks`)
}

export const NATIVE_ACTIONS: readonly Action[] = [
  { name: 'pay', run: pay },
  { name: 'pay', run: pay },
  { name: 'pay', run: pay },
  { name: 'receive', run: receive },
  { name: 'receive a fortune', run: receiveFortune },
  { name: 'pay oneself', run: payOneself },
  { name: 'call with nothing', run: callWithNothing },
  { name: 'pay with a note', run: payWithNote },
  { name: 'pay a contract', run: payContract },
  { name: 'deploy', run: deploy },
  { name: 'deploy nothing', run: deployNothing },
  { name: 'be refused', run: beRefused },
  { name: 'be refused a deployment', run: beRefusedDeployment },
  { name: 'run out of gas', run: runOutOfGas },
  { name: 'strangers pay', run: strangersPay },
]
