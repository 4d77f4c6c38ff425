/**
 * Logs in shapes that naive code does not expect: parameters that are not indexed, words that are no addresses, data that ends
 * too soon, events that look like others.
 */
import {
  encodeAbiParameters,
  encodeFunctionData,
  padHex,
  parseAbi,
  parseAbiParameters,
  toEventSelector,
  toHex,
} from 'viem'
import { type Address, type Hex, ZERO_ADDRESS } from '../../core/types.ts'
import { type Action, pickCounterparty, pickStranger, pickUser, type Scene } from '../scene.ts'
import { NATIVE_LOG_ADDRESS } from '../world.ts'

const RAW_LOGS = parseAbi([
  'struct Entry { bytes32[] topics; bytes data; }',
  'function emitLogs(Entry[] entries) payable',
])
const TRANSFER = toEventSelector('Transfer(address,address,uint256)')
const APPROVAL = toEventSelector('Approval(address,address,uint256)')
const FOR_ALL = toEventSelector('ApprovalForAll(address,address,bool)')
const SINGLE = toEventSelector('TransferSingle(address,address,address,uint256,uint256)')
const BATCH = toEventSelector('TransferBatch(address,address,address,uint256[],uint256[])')
const STAKED = toEventSelector('Staked(address,uint256,uint256,uint256)')
const GAS = 600_000n

type Entry = { readonly topics: readonly Hex[]; readonly data: Hex }

const word = (value: Hex | bigint): Hex => padHex(typeof value === 'bigint' ? toHex(value) : value, { size: 32 })
const join = (...words: readonly Hex[]): Hex => `0x${words.map(one => one.slice(2)).join('')}`
/** An address with something before it, where zeros should be. */
const dirty = (address: Address): Hex => `0x01${word(address).slice(4)}`

const batch = (ids: readonly bigint[], values: readonly bigint[]): Hex =>
  encodeAbiParameters(parseAbiParameters('uint256[], uint256[]'), [ids, values])

/** Each in its own way what a log can be; `a` and `b` are the two ends, `n` is an amount or an id. */
function shapesOf(a: Address, b: Address, n: bigint): readonly Entry[] {
  const [wa, wb, wn, operator] = [word(a), word(b), word(n), word(b)]
  return [
    // Readable, if one looks.
    { topics: [TRANSFER], data: join(wa, wb, wn) },
    { topics: [TRANSFER], data: join(word(ZERO_ADDRESS), wb, wn) },
    { topics: [TRANSFER, wa], data: join(wb, wn) },
    { topics: [TRANSFER, wa], data: join(word(ZERO_ADDRESS), wn) },
    { topics: [TRANSFER, wa, wb], data: wn },
    { topics: [TRANSFER, wa, wb, wn], data: '0x' },
    // No addresses where addresses should be.
    { topics: [TRANSFER], data: join(dirty(a), wb, wn) },
    { topics: [TRANSFER, wa], data: join(dirty(b), wn) },
    { topics: [TRANSFER, dirty(a), wb], data: wn },
    // Too little, too much.
    { topics: [TRANSFER], data: '0x' },
    { topics: [TRANSFER], data: join(wa, wb) },
    { topics: [TRANSFER, wa], data: wn },
    { topics: [TRANSFER, wa, wb], data: '0x' },
    { topics: [TRANSFER, wa, wb], data: join(wn, wn) },
    { topics: [TRANSFER, wa, wb], data: '0x0102' },
    { topics: [APPROVAL, wa, wb], data: '0x' },
    { topics: [APPROVAL, wa], data: join(wb, wn) },
    { topics: [FOR_ALL, wa, wb], data: '0x' },
    { topics: [FOR_ALL, wa], data: join(wb, word(1n)) },
    { topics: [SINGLE, operator, wa, wb], data: wn },
    { topics: [SINGLE, operator, wa], data: join(wb, wn, wn) },
    { topics: [BATCH, operator, wa, wb], data: '0x' },
    { topics: [BATCH, operator, wa, wb], data: join(word(2n ** 255n), word(2n ** 200n)) },
    { topics: [BATCH, operator, wa, wb], data: join(word(64n), word(64n), word(2n ** 64n)) },
    { topics: [BATCH, operator, wa, wb], data: batch([1n, 2n], [5n]) },
    { topics: [BATCH, operator, wa, wb], data: batch([1n, 1n], [5n, 6n]) },
    // Nothing to be understood, and the event of another contract.
    { topics: [], data: join(TRANSFER, wa, wb) },
    { topics: [wa, wb], data: '0x' },
    { topics: [STAKED, wa], data: join(wn, wn, wn) },
  ]
}

async function logOdd(scene: Scene): Promise<void> {
  const { dice, world } = scene
  const user = pickUser(scene)
  const other = pickCounterparty(scene, user)
  const [a, b] = dice.chance(0.5) ? [user, other] : [other, user]
  const shapes = shapesOf(a.address, b.address, BigInt(dice.integer(0, 9999)))
  const entries = dice.shuffle(shapes).slice(0, dice.integer(3, 8))
  const from = dice.chance(0.5) ? user : pickStranger(scene)
  const words = `${from.name} makes a contract log ${entries.length} odd things about ${user.name}`
  await scene.act(from, { to: dice.pick(world.rawLogs), data: encodeLogs(entries), gas: GAS }, words)
}

/** EIP-7708: native value that also logs a Transfer is no token. */
async function logNative(scene: Scene): Promise<void> {
  const user = pickUser(scene)
  const topics = [TRANSFER, word(user.address), word(pickCounterparty(scene, user).address)]
  const data = encodeLogs([{ topics, data: word(10n ** 18n) }])
  await scene.act(
    user,
    { to: NATIVE_LOG_ADDRESS, data, gas: GAS },
    `${user.name} sees native value logged as a Transfer`,
  )
}

function encodeLogs(entries: readonly Entry[]): Hex {
  return encodeFunctionData({ abi: RAW_LOGS, functionName: 'emitLogs', args: [entries] })
}

export const ODD_ACTIONS: readonly Action[] = [
  { name: 'log odd things', run: logOdd },
  { name: 'log odd things', run: logOdd },
  { name: 'log odd things', run: logOdd },
  { name: 'log native value', run: logNative },
]
