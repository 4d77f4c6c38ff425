/**
 * Sends transactions fast: signed here, nonces counted here, many in one request.
 *
 * Always holds: the node gets the transactions in the order in which they were sent here, and, because Anvil runs with
 * `--order fifo`, executes them in that order. A hash depends on the key, the nonce and the words of the transaction only: fees
 * and gas limits are fixed, nothing is estimated.
 *
 * Why in small batches: Anvil works on the parts of a large batch out of order.
 */
import { type AccessList, keccak256, type SignedAuthorization } from 'viem'
import type { Address, Hash, Hex } from '../core/types.ts'
import { type Anvil, requestAll } from './anvil.ts'
import type { Party } from './party.ts'

export type TransactionKind = 'legacy' | 'eip2930' | 'eip1559' | 'eip7702'

export type Draft = {
  /** null: creates a contract. */
  readonly to: Address | null
  readonly value?: bigint
  readonly data?: Hex
  readonly gas?: bigint
  /** Absent: eip1559, or eip7702 with authorizations. */
  readonly kind?: TransactionKind
  readonly authorizations?: readonly SignedAuthorization[]
  /** Absent: the sender's next one. */
  readonly nonce?: number
  /** Multiplies the fees: what a wallet does to replace a transaction. */
  readonly feeFactor?: bigint
}

export type Sender = {
  /** Signs and queues. Returns the hash at once; nothing is at the node before `flush`. */
  send(party: Party, draft: Draft): Promise<Hash>
  /** Signs only: no nonce counts as used, and nobody gets it before `queue`. */
  sign(party: Party, draft: Draft): Promise<Hash>
  /** Queues what was signed here before. */
  queue(hash: Hash): void
  /** Hands everything queued to the node. Throws RPC_REJECTED where one is refused. */
  flush(): Promise<void>
  readonly queued: number
  /** The nonce that the party's next transaction or authorization has to have. */
  nextNonce(party: Party): number
  /** Notes that something else than a transaction (an authorization) uses up the party's next nonce. */
  useNonce(party: Party): void
  /** The signed bytes of a transaction that was sent here. */
  rawOf(hash: Hash): Hex | undefined
}

const BATCH_SIZE = 25
const GAS = 250_000n
const FEE = 100_000_000_000n
const TIP = 1_000_000_000n

export async function createSender(anvil: Anvil, parties: readonly Party[]): Promise<Sender> {
  const nonces = new Map<Address, number>()
  const counts = parties.map(({ address }) => ({ method: 'eth_getTransactionCount', params: [address, 'latest'] }))
  const answers = await inBatches(anvil, counts)
  for (const [i, party] of parties.entries()) nonces.set(party.address, Number(answers[i]))
  const raws = new Map<Hash, Hex>()
  let queue: Hex[] = []

  const nextNonce = (party: Party) => nonces.get(party.address) ?? 0
  const useNonce = (party: Party) => {
    nonces.set(party.address, nextNonce(party) + 1)
  }
  const remember = async (party: Party, draft: Draft, nonce: number) => {
    const raw = await sign(anvil.chainId, party, draft, nonce)
    const hash = keccak256(raw)
    raws.set(hash, raw)
    return { hash, raw }
  }
  return {
    send: async (party, draft) => {
      const nonce = draft.nonce ?? nextNonce(party)
      if (draft.nonce === undefined) useNonce(party)
      const { hash, raw } = await remember(party, draft, nonce)
      queue.push(raw)
      return hash
    },
    sign: async (party, draft) => (await remember(party, draft, draft.nonce ?? nextNonce(party))).hash,
    queue: hash => {
      const raw = raws.get(hash)
      if (raw !== undefined) queue.push(raw)
    },
    flush: async () => {
      const sent = queue
      queue = []
      await inBatches(
        anvil,
        sent.map(raw => ({ method: 'eth_sendRawTransaction', params: [raw] })),
      )
    },
    get queued() {
      return queue.length
    },
    nextNonce,
    useNonce,
    rawOf: hash => raws.get(hash),
  }
}

async function inBatches(anvil: Anvil, calls: Parameters<typeof requestAll>[1]): Promise<unknown[]> {
  const results: unknown[] = []
  for (let i = 0; i < calls.length; i += BATCH_SIZE) {
    results.push(...(await requestAll(anvil.url, calls.slice(i, i + BATCH_SIZE))))
  }
  return results
}

function sign(chainId: number, party: Party, draft: Draft, nonce: number): Promise<Hex> {
  const { account } = party
  const factor = draft.feeFactor ?? 1n
  const common = {
    chainId,
    nonce,
    gas: draft.gas ?? GAS,
    value: draft.value ?? 0n,
    data: draft.data ?? '0x',
    ...(draft.to === null ? {} : { to: draft.to }),
  } as const
  const fees = { maxFeePerGas: FEE * factor, maxPriorityFeePerGas: TIP * factor }
  if (draft.authorizations !== undefined) {
    const authorizationList = [...draft.authorizations]
    return account.signTransaction({ ...common, ...fees, type: 'eip7702', authorizationList })
  }
  if (draft.kind === 'legacy') return account.signTransaction({ ...common, type: 'legacy', gasPrice: FEE * factor })
  if (draft.kind === 'eip2930') {
    const accessList: AccessList = draft.to === null ? [] : [{ address: draft.to, storageKeys: [] }]
    return account.signTransaction({ ...common, type: 'eip2930', gasPrice: FEE * factor, accessList })
  }
  return account.signTransaction({ ...common, ...fees, type: 'eip1559' })
}
