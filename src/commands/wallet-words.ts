/**
 * What is known of a wallet, in plain words: for `status --wallet` and `verify --wallet`.
 */

import { exactAmount } from '../core/amount.ts'
import type { Proof, ProvedRange } from '../core/proof.ts'
import type { Range } from '../core/range.ts'
import { describeDuration } from '../ops/progress.ts'
import type { MissingRange, WalletChain, WalletStatus } from '../wallet-status.ts'

const PROOFS: Readonly<Record<Proof, string>> = {
  full: 'every block was read, and is proved by its hash',
  basic: 'every block was read, and its parts fit together',
  witnessed:
    'found from the state of the account, and from filtered logs on which two endpoints agree; what was found was read whole',
  filtered:
    'found from the state of the account, and from filtered logs of one endpoint, whose word it is that there is no more; what was found was read whole',
}

const REASONS: Readonly<Record<string, string>> = {
  'could-be-contract': 'it has sent nothing there, so it could be a contract that is yet to come',
  contract: 'it is a contract',
  delegated: 'its account is delegated (EIP-7702)',
  'no-archive': 'no endpoint has the state of accounts at those blocks',
  inconsistent: 'what was told of its account contradicts the blocks',
  dense: 'there is something in most blocks',
  filter: 'filtered logs lacked what a block has',
}

/** The status as lines of text. */
export function describeWallet({ address, tracked, userId, chains }: WalletStatus): string[] {
  if (!tracked)
    return [`${address} is not tracked: it has no rows, and no history is kept. Watch it: wallets add ${address}`]
  return [
    `${address} is tracked: ${userId === null ? 'it is watched' : `the wallet of user ${userId}`}.`,
    ...chains.flatMap(describeChain),
  ]
}

function describeChain(chain: WalletChain): string[] {
  const { complete, missing, missingBlocks, startBlock, indexed } = chain
  const name = `${chain.chain} (${chain.id})`
  if (indexed === null || startBlock === null) return [`${name}: nothing is indexed yet.`]
  const all = `blocks ${startBlock} to ${indexed}`
  const total = indexed - startBlock + 1
  return [
    missingBlocks === 0
      ? `${name}: complete, ${all}.`
      : `${name}: ${total - missingBlocks} of ${total} blocks are complete (${all}).`,
    ...complete.map(each => `  complete: ${describeProof(each)}.`),
    ...missing.map(each => `  missing: ${describeMissing(each, chain)}.`),
    ...describeInternal(chain),
  ]
}

function describeRange({ from, to }: Range): string {
  return from === to ? `block ${from}` : `blocks ${from} to ${to}`
}

export function describeProof(range: ProvedRange): string {
  return `${describeRange(range)}: ${PROOFS[range.proof]}`
}

/** Why blocks are missing, and what becomes of that. */
export function describeMissing(
  missing: MissingRange,
  chain: Pick<WalletChain, 'chain' | 'work' | 'isFollowed'>,
): string {
  const range = describeRange(missing)
  switch (missing.reason) {
    case 'not-indexed':
      return `${range}: not indexed for anybody; backfill --chain ${chain.chain} --from-block ${missing.from} --to-block ${missing.to} takes them`
    case 'not-final':
      return `${range}: the wallet was linked later, and they are not final yet; they are filled as soon as they are`
    case 'linked-later':
      return `${range}: the wallet was linked later; ${describeWork(chain)}`
  }
}

function describeWork({ work, isFollowed }: Pick<WalletChain, 'work' | 'isFollowed'>): string {
  const why = work?.reason ?? null
  const reason = why === null ? '' : `, because ${REASONS[why] ?? why}`
  const way = work?.way === 'whole' ? ` by reading every block${reason}` : ''
  if (work?.isClaimed === true) return `they are being filled now${way}`
  if (work !== null && work.failures > 0) {
    const again = work.restsSeconds === null ? 'soon' : `in ${describeDuration(work.restsSeconds)}`
    return `filling them failed (${work.lastError ?? 'for no known reason'}); it is tried again ${again}`
  }
  return isFollowed ? `they are filled next${way}` : `a daemon (run) fills them${way}`
}

function describeInternal({ complete, internal, symbol, decimals, chain }: WalletChain): string[] {
  const isFiltered = complete.some(({ proof }) => proof === 'filtered' || proof === 'witnessed')
  const isRead = complete.some(({ proof }) => proof === 'basic' || proof === 'full')
  return [
    ...(isRead
      ? ['  value that moved inside of transactions has no rows: no traces were read, and whole blocks do not show it.']
      : []),
    ...(isFiltered
      ? [
          `  where its account was looked at, its balance shows value that moved inside of transactions: ${internal.length === 0 ? 'none was seen.' : ''}`.trimEnd(),
        ]
      : []),
    ...internal.map(({ blockNumber, amount, transactionHash }) => {
      const value = exactAmount(amount < 0n ? -amount : amount, decimals) ?? String(amount)
      const where = transactionHash === null ? 'transactions of it' : `transaction ${transactionHash}`
      return `    block ${blockNumber}: ${amount < 0n ? '-' : '+'}${value} ${symbol} ${amount < 0n ? 'went' : 'came'} from inside ${where}`
    }),
    ...(isFiltered
      ? [
          `  events of contracts that index no address (older than the token standards) are found in those blocks only if the file of ${chain} names them in a rule.`,
        ]
      : []),
  ]
}
