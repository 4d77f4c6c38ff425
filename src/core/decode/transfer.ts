/**
 * Transfers of tokens: ERC-20, ERC-721 and ERC-1155, mint and burn.
 *
 * ERC-20 and ERC-721 share the topic of Transfer; the number of topics decides (ERC-721 indexes the token's id). Contracts older
 * than either standard index less or nothing: their words are in the data, and the chain file may say which kind they are.
 */

import { decodeAbiParameters, parseAbiParameters } from 'viem/utils'
import type { Chain } from '../chain.ts'
import { type Activity, type Address, type Asset, type Hash, type Log, type Metadata, ZERO_ADDRESS } from '../types.ts'
import { addressOfTopic, readAddressesAndNumber, sizeOf, uintAt } from './words.ts'

/** keccak256 of Transfer(address,address,uint256): ERC-20 and ERC-721. */
export const TRANSFER: Hash = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef'
/** keccak256 of TransferSingle(address,address,address,uint256,uint256): ERC-1155. */
export const TRANSFER_SINGLE: Hash = '0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62'
/** keccak256 of TransferBatch(address,address,address,uint256[],uint256[]): ERC-1155. */
export const TRANSFER_BATCH: Hash = '0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb'

const BATCH_DATA = parseAbiParameters('uint256[] ids, uint256[] values')

type Move = {
  readonly from: Address
  readonly to: Address
  readonly asset: Asset
  readonly rawAmount: bigint
  readonly item: number
  readonly metadata: Metadata
}

/** The activities of a log with one of the three topics; null if its shape is none that is known. */
export function decodeTransfer(
  log: Log,
  transactionHash: Hash,
  chain: Chain,
  isTracked: (address: Address) => boolean,
): Activity[] | null {
  const moves = movesOf(log, chain, isTracked)
  return moves?.flatMap(move => activitiesOf(move, log, transactionHash, isTracked)) ?? null
}

function movesOf(log: Log, chain: Chain, isTracked: (address: Address) => boolean): Move[] | null {
  if (log.topics[0] === TRANSFER) {
    const move = transferMove(log, chain)
    return move === null ? null : [move]
  }
  // Both ERC-1155 events index operator, from and to.
  const from = addressOfTopic(log.topics[2])
  const to = addressOfTopic(log.topics[3])
  if (from === null || to === null) return null
  const move = (id: bigint, rawAmount: bigint, item: number, more: Metadata): Move => ({
    from,
    to,
    asset: { kind: 'pieces', address: log.address },
    rawAmount,
    item,
    metadata: { token_id: id.toString(), ...more },
  })
  if (log.topics[0] === TRANSFER_SINGLE) {
    return sizeOf(log.data) === 64 ? [move(uintAt(log.data, 0), uintAt(log.data, 1), 0, {})] : null
  }
  if (!isTracked(from) && !isTracked(to)) return []
  const batch = decodeBatch(log)
  return batch?.map(([id, value], index) => move(id, value, index, { batch_index: index })) ?? null
}

function transferMove(log: Log, chain: Chain): Move | null {
  const words = readAddressesAndNumber(log)
  if (words === null) return null
  const { first: from, second: to, number, indexed } = words
  const isPiece = indexed === 3 || (indexed < 2 && chain.tokens.get(log.address)?.kind === 'erc721')
  return isPiece
    ? {
        from,
        to,
        asset: { kind: 'pieces', address: log.address },
        rawAmount: 1n,
        item: 0,
        metadata: { token_id: number.toString() },
      }
    : { from, to, asset: { kind: 'erc20', address: log.address }, rawAmount: number, item: 0, metadata: {} }
}

function decodeBatch(log: Log): [bigint, bigint][] | null {
  try {
    const [ids, values] = decodeAbiParameters(BATCH_DATA, log.data)
    if (ids.length !== values.length) return null
    return ids.map((id, index) => [id, values[index] ?? 0n])
  } catch {
    return null // Data that is no such pair of arrays: the caller counts it.
  }
}

function activitiesOf(
  move: Move,
  log: Log,
  transactionHash: Hash,
  isTracked: (address: Address) => boolean,
): Activity[] {
  const minted = move.from === ZERO_ADDRESS
  const burned = move.to === ZERO_ADDRESS
  const activity = (wallet: Address, type: string, counterparty: Address): Activity => ({
    wallet,
    type,
    transactionHash,
    logIndex: log.logIndex,
    item: move.item,
    asset: move.asset,
    rawAmount: move.rawAmount,
    metadata: { counterparty, ...move.metadata },
    rule: null,
  })
  const activities: Activity[] = []
  if (!minted && isTracked(move.from)) activities.push(activity(move.from, burned ? 'BURN' : 'TRANSFER_OUT', move.to))
  if (!burned && isTracked(move.to)) activities.push(activity(move.to, minted ? 'MINT' : 'TRANSFER_IN', move.from))
  return activities
}
