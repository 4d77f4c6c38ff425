/**
 * What stands on a local chain before anybody acts: contracts at the addresses that the chain file names, and odd ones beside.
 *
 * Always holds: addresses are the same on every chain and in every run; where the chain file lists a token or LinkDAO's
 * contracts have an address, code is there that logs what the real one would. The odd tokens are those that break naive code:
 * decimals that don't fit, symbols that lie.
 */
import { encodeFunctionData, keccak256, stringToHex, toHex } from 'viem'
import type { Chain } from '../core/chain.ts'
import type { Address } from '../core/types.ts'
import { AppError } from '../errors.ts'
import { type Anvil, requestAll } from './anvil.ts'
import { type ContractName, type Contracts, compileContracts } from './compile.ts'
import { makeParty } from './party.ts'
import { createSender, type Draft } from './sender.ts'

/** The part of a chain file that decides what stands where. */
export type WorldChain = Pick<Chain, 'id' | 'tokens' | 'nativeToken'>

export type WorldToken = {
  readonly address: Address
  /** For people: what the traffic's log calls it. */
  readonly symbol: string
  /** What it answers to decimals(); null where it does not answer. */
  readonly decimals: number | null
  readonly isListed: boolean
}

export type World = {
  readonly contracts: Contracts
  readonly nativeSymbol: string
  readonly listed: readonly WorldToken[]
  readonly odd: readonly WorldToken[]
  readonly nfts: readonly Address[]
  readonly multiTokens: readonly Address[]
  readonly settlement: Address
  readonly tokenPool: { readonly address: Address; readonly token0: WorldToken; readonly token1: WorldToken }
  readonly nativePool: { readonly address: Address; readonly token1: WorldToken }
  readonly refusal: Address
  readonly sink: Address
  /** Contracts that log whatever they are told: an unlisted one, listed pieces (if there are), and native value's own. */
  readonly rawLogs: readonly Address[]
  readonly delegates: readonly Address[]
  /** null where LinkDAO has no contracts. */
  readonly linkdao: {
    readonly token: WorldToken
    readonly governance: Address
    readonly tipRouter: Address
    readonly oldTipRouter: Address
    /** By payment method. */
    readonly tipTokens: readonly WorldToken[]
  } | null
}

const SEPOLIA_ID = 11_155_111
const LINKDAO = {
  token: '0xc9f690b45e33ca909bb9ab97836091673232611b',
  governance: '0x27a78a860445dffd9073afd7065dd421487c0f8a',
  tipRouter: '0x150fdc2308481142491ca596897abf8c04ab762b',
  oldTipRouter: '0x755fe81411c86019fff6033e0567a4d93b57281b',
  routerUsdt: '0xaa8e23fb1079ea71e0a56f48a2aa51851d8433d0',
} as const satisfies Record<string, Address>
/** Where EIP-7708 has logs of native value come from. */
export const NATIVE_LOG_ADDRESS: Address = '0xfffffffffffffffffffffffffffffffffffffffe'

/** Bits of the contract Token's oddities. */
const DECIMALS_REVERT = 1n
const SYMBOL_IS_BYTES32 = 2n
const SYMBOL_IS_LONG = 4n

type OddToken = {
  readonly name: string
  readonly symbol: string
  readonly decimals: number
  readonly oddities?: bigint
}

const ODD_TOKENS: readonly OddToken[] = [
  { name: 'Whole', symbol: 'WHOLE', decimals: 0 },
  { name: 'Six', symbol: 'SIX', decimals: 6 },
  { name: 'Common', symbol: 'COMMON', decimals: 18 },
  { name: 'Fine', symbol: 'FINE', decimals: 24 },
  { name: 'Grain', symbol: 'GRAIN', decimals: 77 },
  { name: 'Dust', symbol: 'DUST', decimals: 255 },
  { name: 'Too fine', symbol: 'TOOFINE', decimals: 300 },
  { name: 'Mute', symbol: 'MUTE', decimals: 18, oddities: DECIMALS_REVERT },
  { name: 'Old', symbol: 'OLD32', decimals: 18, oddities: SYMBOL_IS_BYTES32 },
  { name: 'Long', symbol: 'LONG', decimals: 18, oddities: SYMBOL_IS_LONG },
  { name: 'Nul', symbol: 'N\0UL', decimals: 18 },
  { name: 'Mirror', symbol: '\u202eCDSU\u202c', decimals: 6 },
  { name: 'Not USD Coin', symbol: 'USDC', decimals: 6 },
]

const DEPLOYER = makeParty('the deployer')
const RICH = toHex(1n << 200n)

/** Puts everything in place and mines it. Throws like `compileContracts`. */
export async function buildWorld(anvil: Anvil, chain: WorldChain): Promise<World> {
  const contracts = await compileContracts()
  const world = describeWorld(contracts, chain)
  const code = placeCode(world, chain)
  await requestAll(anvil.url, [
    ...[...code].map(([address, name]) => ({
      method: 'anvil_setCode',
      params: [address, contracts[name].runtime],
    })),
    { method: 'anvil_setBalance', params: [DEPLOYER.address, RICH] },
  ])
  const sender = await createSender(anvil, [DEPLOYER])
  for (const draft of configure(world)) await sender.send(DEPLOYER, { gas: 3_000_000n, ...draft })
  await sender.flush()
  await anvil.mine()
  return world
}

/** A fixed address that nobody has a key for. */
function placeOf(name: string): Address {
  return `0x${keccak256(stringToHex(`a place of the local world: ${name}`)).slice(-40)}`
}

function describeWorld(contracts: Contracts, chain: WorldChain): World {
  const tokens = [...chain.tokens.values()]
  const listed = tokens
    .filter(({ kind }) => kind === 'erc20')
    .map(({ address, symbol, decimals }): WorldToken => ({ address, symbol, decimals, isListed: true }))
  const odd = ODD_TOKENS.map(
    ({ name, symbol, decimals, oddities = 0n }): WorldToken => ({
      address: placeOf(`token ${name}`),
      symbol: `${name} (unlisted ${JSON.stringify(symbol)})`,
      decimals: oddities & DECIMALS_REVERT ? null : decimals,
      isListed: false,
    }),
  )
  const [token0, token1] = [...listed, ...odd]
  if (token0 === undefined || token1 === undefined) throw new AppError('INTERNAL', 'A world needs two tokens.')
  const pieces = tokens.filter(({ kind }) => kind !== 'erc20').map(({ address }) => address)
  return {
    contracts,
    nativeSymbol: chain.nativeToken.symbol,
    listed,
    odd,
    nfts: [placeOf('nft 1'), placeOf('nft 2')],
    multiTokens: [placeOf('multi-token')],
    settlement: placeOf('settlement'),
    tokenPool: { address: placeOf('token pool'), token0, token1 },
    nativePool: { address: placeOf('native pool'), token1 },
    refusal: placeOf('refusal'),
    sink: placeOf('sink'),
    rawLogs: [placeOf('raw logs'), ...pieces, NATIVE_LOG_ADDRESS],
    delegates: [placeOf('delegate'), placeOf('another delegate')],
    linkdao: describeLinkdao(chain, listed),
  }
}

function describeLinkdao(chain: WorldChain, listed: readonly WorldToken[]): World['linkdao'] {
  const token = listed.find(({ address }) => address === LINKDAO.token)
  const usdc = listed.find(({ symbol }) => symbol === 'USDC')
  if (chain.id !== SEPOLIA_ID || token === undefined || usdc === undefined) return null
  const { governance, tipRouter, oldTipRouter, routerUsdt } = LINKDAO
  const usdt: WorldToken = { address: routerUsdt, symbol: "the router's USDT", decimals: 6, isListed: false }
  return { token, governance, tipRouter, oldTipRouter, tipTokens: [token, usdc, usdt, usdc] }
}

function placeCode(world: World, chain: WorldChain): Map<Address, ContractName> {
  const { linkdao } = world
  const code = new Map<Address, ContractName>()
  const put = (name: ContractName, ...addresses: readonly Address[]) => {
    for (const address of addresses) code.set(address, name)
  }
  put('Token', ...[...world.listed, ...world.odd].map(({ address }) => address))
  put('Nft', ...world.nfts)
  put('MultiToken', ...world.multiTokens)
  put('Settlement', world.settlement)
  put('Pool', world.tokenPool.address, world.nativePool.address)
  put('Refusal', world.refusal)
  put('Sink', world.sink)
  put('RawLogs', ...world.rawLogs)
  put('Delegate', ...world.delegates)
  if (linkdao !== null) {
    put('Token', ...linkdao.tipTokens.map(({ address }) => address))
    put('LinkToken', linkdao.token.address)
    put('Governance', linkdao.governance)
    put('TipRouter', linkdao.tipRouter)
    put('TipRouterOld', linkdao.oldTipRouter)
  }
  for (const { address } of chain.tokens.values()) if (!code.has(address)) put('RawLogs', address)
  return code
}

/** A million whole tokens. */
function reserveOf({ decimals }: WorldToken): bigint {
  return 1_000_000n * 10n ** BigInt(decimals ?? 18)
}

function configure(world: World): Draft[] {
  const { contracts, linkdao } = world
  const call = (name: ContractName, to: Address, args: readonly unknown[]): Draft => ({
    to,
    data: encodeFunctionData({ abi: contracts[name].abi, functionName: 'configure', args }),
  })
  const odd = ODD_TOKENS.map(({ name, symbol, decimals, oddities = 0n }) =>
    call('Token', placeOf(`token ${name}`), [name, stringToHex(symbol), BigInt(decimals), oddities]),
  )
  const known = [...new Set([...world.listed, ...(linkdao?.tipTokens ?? [])])]
    .filter(({ address }) => address !== linkdao?.token.address)
    .map(({ address, symbol, decimals }) =>
      call('Token', address, [symbol, stringToHex(symbol), BigInt(decimals ?? 18), 0n]),
    )
  const { tokenPool, nativePool } = world
  const zero = `0x${'00'.repeat(20)}`
  return [
    ...odd,
    ...known,
    call('Pool', tokenPool.address, [
      tokenPool.token0.address,
      tokenPool.token1.address,
      reserveOf(tokenPool.token0),
      reserveOf(tokenPool.token1),
    ]),
    call('Pool', nativePool.address, [zero, nativePool.token1.address, 10n ** 21n, reserveOf(nativePool.token1)]),
  ]
}
