/**
 * What happens on every node: the same transactions in the same blocks, signed beforehand, and what they mean for the wallets that
 * are tracked. Keys, nonces and chain id are fixed, so hashes and addresses are the same on every node.
 *
 * Always holds: within a block no transaction relies on one of another sender, for nodes order them as they like.
 */
import {
  encodeFunctionData,
  getContractAddress,
  keccak256,
  padHex,
  parseEther,
  type TransactionSerializable,
  toEventSelector,
  toHex,
} from 'viem'
import type { PrivateKeyAccount } from 'viem/accounts'
import type { Contracts } from '../../../src/demo/compile.ts'
import { ACCOUNTS } from './accounts.ts'
import { CHAIN_ID, type TestNode } from './node.ts'

const GWEI = 10n ** 9n
const TRANSFER_TOPIC = toEventSelector('Transfer(address,address,uint256)')
const GAS = 300_000n
const DEPLOY_GAS = 3_000_000n
/** What `decimals()` of a Token does where it is told so (`demo/contracts/Fungible.sol`). */
const DECIMALS_REVERT = 1n

export const ALICE = ACCOUNTS.alice.address.toLowerCase()
export const BOB = ACCOUNTS.bob.address.toLowerCase()
/** On the watch-list; nobody signs for it. */
export const CAROL = '0xca01000000000000000000000000000000000003'
const MAKER = ACCOUNTS.maker.address.toLowerCase()

const created = (nonce: bigint) =>
  getContractAddress({ from: ACCOUNTS.maker.address, nonce }).toLowerCase() as `0x${string}`
/** A token that the chain file lists. */
export const LDAO = created(0n)
/** A token that says itself that it has 6 decimals. */
const COIN = created(1n)
const SINK = created(2n)
/** Tokens that don't tell their decimals, each in its own way: one reverts with a reason, one without, one runs into a bad instruction. */
const MUTE = created(3n)
const RAW_LOGS = created(4n)
const TRAP = created(5n)
/**
 * Asked with four bytes it executes INVALID; asked with nothing it logs a transfer of the caller to itself, by hand:
 * `if calldatasize == 4 { invalid } log3(0, 32, Transfer, caller, caller)`.
 */
const TRAP_RUNTIME = `3660041460305733337f${TRANSFER_TOPIC.slice(2)}60206000a3005bfe`
const TRAP_CREATION = `0x6032600c60003960326000f3${TRAP_RUNTIME}` as const

export type Signed = {
  readonly hash: string
  readonly raw: string
  readonly succeeds: boolean
  /** Whether a user takes part in it. */
  readonly isOfUser: boolean
}

export type Story = {
  /** The transactions of block 1, of block 2, and so on. */
  readonly blocks: readonly (readonly Signed[])[]
  /** What is expected in `wallet_activity`: block, wallet, activity, amount, token. */
  readonly activities: readonly string[]
  /** The first deployment: no tracked wallet takes part. */
  readonly foreign: Signed
  /** One more transfer of native value; each comes after what was signed before. */
  transfer(from: Payer, to: string, ether: string): Promise<Signed>
}

export type Payer = 'alice' | 'bob'
type Fields = Partial<TransactionSerializable>
type Signer = {
  next(): number
  sign(fields: Fields, facts?: Partial<Signed>): Promise<Signed>
}

function createSigner(account: PrivateKeyAccount): Signer {
  let nonce = 0
  const next = () => {
    nonce += 1
    return nonce - 1
  }
  return {
    next,
    sign: (fields, facts = {}) => sign(account, { nonce: next(), ...fields }, facts),
  }
}

async function sign(account: PrivateKeyAccount, fields: Fields, facts: Partial<Signed> = {}): Promise<Signed> {
  const isOld = fields.type === 'legacy' || fields.type === 'eip2930'
  const fees = isOld
    ? { gasPrice: 20n * GWEI }
    : { type: 'eip1559', maxFeePerGas: 20n * GWEI, maxPriorityFeePerGas: GWEI }
  const raw = await account.signTransaction({
    chainId: CHAIN_ID,
    gas: GAS,
    ...fees,
    ...fields,
  } as TransactionSerializable)
  return { hash: keccak256(raw), raw, succeeds: true, isOfUser: account !== ACCOUNTS.maker, ...facts }
}

/** A transfer apart from the story. */
export function signTransfer(from: Payer, nonce: number, to: string, ether: string): Promise<Signed> {
  return sign(ACCOUNTS[from], { nonce, to: to as `0x${string}`, value: parseEther(ether) })
}

/** @param hasAuthorizations whether the node tells EIP-7702 authorizations; where it does not, block 5 is empty */
export async function writeStory(contracts: Contracts, hasAuthorizations: boolean): Promise<Story> {
  const { Token, Sink, Refusal, RawLogs } = contracts
  const [alice, bob, maker] = [ACCOUNTS.alice, ACCOUNTS.bob, ACCOUNTS.maker].map(createSigner) as [
    Signer,
    Signer,
    Signer,
  ]
  const call = (to: `0x${string}`, functionName: string, ...args: readonly unknown[]): Fields => ({
    to,
    data: encodeFunctionData({ abi: Token.abi, functionName, args }),
  })
  const foreign = await maker.sign({ data: Token.creation, gas: DEPLOY_GAS })
  const setUp = [
    foreign,
    await maker.sign({ data: Token.creation, gas: DEPLOY_GAS }),
    await maker.sign({ data: Sink.creation, gas: DEPLOY_GAS }),
    await maker.sign({ data: Token.creation, gas: DEPLOY_GAS }),
    await maker.sign({ data: RawLogs.creation, gas: DEPLOY_GAS }),
    await maker.sign({ data: TRAP_CREATION }),
    await maker.sign(call(COIN, 'configure', 'Coin', '0x', 6n, 0n)),
    await maker.sign(call(MUTE, 'configure', 'Mute', '0x', 0n, DECIMALS_REVERT)),
  ]
  const payments = [
    await alice.sign({ type: 'legacy', to: ACCOUNTS.bob.address, value: parseEther('1') }),
    await alice.sign({ to: CAROL, value: parseEther('0.5') }),
    await bob.sign({ to: ACCOUNTS.bob.address, value: parseEther('0.25') }),
    await maker.sign(call(LDAO, 'mint', ALICE, parseEther('1000')), { isOfUser: true }),
    await maker.sign(call(COIN, 'mint', CAROL, 5_500_000n)),
  ]
  const tokens = [
    await alice.sign(call(LDAO, 'transfer', BOB, parseEther('100'))),
    await alice.sign(call(LDAO, 'approve', BOB, parseEther('10'))),
    await alice.sign({ to: TRAP }),
    await maker.sign(call(MUTE, 'mint', BOB, 7n), { isOfUser: true }),
    await maker.sign({ to: RAW_LOGS, data: encodeTransferLog(contracts) }),
    await alice.sign({
      type: 'eip2930',
      accessList: [],
      data: Sink.creation,
      value: parseEther('0.125'),
      gas: DEPLOY_GAS,
    }),
  ]
  const failures = [
    await bob.sign(call(LDAO, 'transferFrom', ALICE, CAROL, parseEther('10'))),
    await bob.sign(call(LDAO, 'transferFrom', MAKER, BOB, 1n), { succeeds: false }),
    await alice.sign({ data: Refusal.creation, value: 1n }, { succeeds: false }),
    await alice.sign({ to: SINK, data: '0xdeadbeef', value: parseEther('0.01') }),
    await alice.sign(call(LDAO, 'burn', parseEther('1'))),
  ]
  const delegation = hasAuthorizations ? [await signDelegation(alice, maker)] : []
  return {
    blocks: [setUp, payments, tokens, failures, delegation],
    activities: [...ACTIVITIES, ...(hasAuthorizations ? ['5 alice DELEGATION'] : [])],
    foreign,
    transfer: (from, to, ether) =>
      (from === 'alice' ? alice : bob).sign({ to: to as `0x${string}`, value: parseEther(ether) }),
  }
}

/** A transfer of the maker to Carol, as a log that nothing stands behind. */
function encodeTransferLog({ RawLogs }: Contracts): `0x${string}` {
  const topics = [TRANSFER_TOPIC, padHex(ACCOUNTS.maker.address, { size: 32 }), padHex(CAROL, { size: 32 })]
  const entry = { topics, data: toHex(5n, { size: 32 }) }
  return encodeFunctionData({ abi: RawLogs.abi, functionName: 'emitLogs', args: [[entry]] })
}

/** Alice delegates to the sink, in a transaction that somebody else sends. */
async function signDelegation(alice: Signer, maker: Signer): Promise<Signed> {
  const authorization = await ACCOUNTS.alice.signAuthorization({
    chainId: CHAIN_ID,
    address: SINK,
    nonce: alice.next(),
  })
  const fields = { type: 'eip7702', to: SINK, authorizationList: [authorization] } as Fields
  return maker.sign(fields, { isOfUser: true })
}

const ACTIVITIES = [
  '2 alice TRANSFER_OUT 1 ETH',
  '2 bob TRANSFER_IN 1 ETH',
  '2 alice TRANSFER_OUT 0.5 ETH',
  '2 carol TRANSFER_IN 0.5 ETH',
  '2 bob TRANSFER_OUT 0.25 ETH',
  '2 bob TRANSFER_IN 0.25 ETH',
  '2 alice MINT 1000 LDAO',
  `2 carol MINT 5.5 ${COIN}`,
  '3 alice CONTRACT_INTERACTION',
  '3 alice TRANSFER_OUT 100 LDAO',
  '3 bob TRANSFER_IN 100 LDAO',
  '3 alice CONTRACT_INTERACTION',
  '3 alice APPROVAL 10 LDAO',
  '3 alice CONTRACT_INTERACTION',
  `3 alice TRANSFER_OUT ${TRAP}`,
  `3 alice TRANSFER_IN ${TRAP}`,
  `3 bob MINT ${MUTE}`,
  `3 carol TRANSFER_IN ${RAW_LOGS}`,
  '3 alice TRANSFER_OUT 0.125 ETH',
  '3 alice CONTRACT_DEPLOYMENT',
  '4 bob CONTRACT_INTERACTION',
  '4 alice TRANSFER_OUT 10 LDAO',
  '4 carol TRANSFER_IN 10 LDAO',
  '4 bob TRANSACTION_REVERTED',
  '4 alice TRANSACTION_REVERTED',
  '4 alice TRANSFER_OUT 0.01 ETH',
  '4 alice CONTRACT_INTERACTION',
  '4 alice CONTRACT_INTERACTION',
  '4 alice BURN 1 LDAO',
]

/** Puts transactions into the pool, in their order. @throws Error if the node calls one by another hash */
export async function send(node: TestNode, transactions: readonly Signed[]): Promise<void> {
  for (const { hash, raw } of transactions) {
    const answer = await node.rpc('eth_sendRawTransaction', [raw])
    if (answer !== hash) throw new Error(`${hash} was sent and ${String(answer)} was answered`)
  }
}
