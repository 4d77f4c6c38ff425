/**
 * The port to the database: what the daemon reads and writes, and what it may rely on.
 *
 * Every writing method is one transaction (or several that can each be repeated) and leaves nothing half done. They throw AppError:
 * `DB_UNAVAILABLE` and `DB_CONFLICT` may pass by waiting, `DB_SCHEMA` needs `migrate`, `LEASE_LOST` and `REGISTRY_STALE` mean that
 * the step was overtaken and must be planned again. After any error nothing is known of what was written: read the checkpoint again.
 */

import type { Chain } from '../core/chain.ts'
import type { PendingRow } from '../core/pending.ts'
import type { Way } from '../core/onboarding.ts'
import type { Range, Ranges } from '../core/range.ts'
import type { Address, Hash, Header } from '../core/types.ts'
import type { SurveyResult } from '../core/unseen.ts'
import type { WalletChange } from '../core/wallet-set.ts'
import * as checkpoints from './checkpoint.ts'
import * as pieces from './claims.ts'
import * as commits from './commit.ts'
import * as comparison from './comparison.ts'
import { connect, listen, type Sql } from './connection.ts'
import * as coverage from './coverage.ts'
import * as internal from './internal-value.ts'
import * as jobs from './jobs.ts'
import * as leases from './lease.ts'
import * as missing from './missing.ts'
import * as onboarding from './onboarding.ts'
import * as registry from './registry.ts'
import { addRequests } from './requests.ts'
import * as sought from './sought.ts'
import { loadStory, type Story } from './story.ts'
import * as tokens from './tokens.ts'
import * as counts from './totals.ts'
import * as unseen from './unseen.ts'

export type { StoredCheckpoint } from './checkpoint.ts'
export type { Claim } from './claims.ts'
export type { SetState } from './comparison.ts'
export type { Job, JobWorker, OpenJob } from './jobs.ts'
export type { Lease } from './lease.ts'
export type { Suspect } from './missing.ts'
export type { WalletClaim, WalletClaims, OnboardingCount, WalletWork } from './onboarding.ts'
export type { InternalValue } from './internal-value.ts'
export type { Totals } from './totals.ts'
export type { Replacement, Unseen } from './unseen.ts'
export { CLAIM_TTL_MS } from './jobs.ts'
export { LEASE_TTL_MS } from './lease.ts'
export { WALLET_CLAIM_TTL_MS } from './onboarding.ts'

export type Store = {
  /** How far a chain is committed; null before its first block. */
  checkpoint(chainId: number): Promise<checkpoints.StoredCheckpoint | null>
  /** Our own header at a height, null outside the window. */
  headerAt(chainId: number, number: number): Promise<Header | null>
  /** The header window from a height on, lowest first. */
  window(chainId: number, fromNumber: number): Promise<Header[]>
  /** Blocks that hold rows of ours, lowest first: the ground of a reorg that is accepted beyond finality. */
  anchors(chainId: number): Promise<{ number: number; hash: Hash }[]>
  /** Makes a chain stand still until a person acts, or go on (null). */
  setHalt(chainId: number, halt: { code: string; message: string } | null): Promise<void>

  /** Transactions that are recorded as ours and whose rows are not there, the newest first: a suspicion, no proof. */
  suspects(chainId: number): Promise<missing.Suspect[]>
  /** The lowest block with such a transaction. Costs a pass over all of the chain. */
  lowestSuspect(chainId: number): Promise<number | null>

  commitAdvance(step: commits.Advance): Promise<commits.Written>
  commitBackfill(piece: commits.BackfillCommit): Promise<commits.Written>
  commitRewind(step: commits.Rewind): Promise<commits.Rewound>
  commitFound(found: Parameters<typeof commits.commitFound>[1]): Promise<boolean>

  /** Writes a block's rows again. @returns false: our window has another block there */
  commitRepair(repair: commits.Repair): Promise<boolean>

  coverage(chainId: number): Promise<Ranges>
  walletCoverage(chainId: number, address: Address): Promise<Ranges>
  /** The same with how it is known, and what is lacking. */
  walletCompleteness(chainId: number, address: Address): Promise<coverage.WalletCoverage>
  /** Of each wallet whose coverage differs from the set's. */
  differingCoverage(chainId: number): Promise<ReadonlyMap<Address, Ranges>>

  /** Claims wallets that lack blocks within bounds, for a while (`WALLET_CLAIM_TTL_MS`), the newest links first. */
  claimWallets(claims: onboarding.WalletClaims, bounds: Range, limit: number): Promise<onboarding.WalletClaim[]>
  /** @returns how many wallets are still claimed; fewer than there were: somebody else took over */
  renewWalletClaims(claims: onboarding.WalletClaims): Promise<number>
  releaseWalletClaims(claims: onboarding.WalletClaims): Promise<void>
  noteWay(
    claims: onboarding.WalletClaims,
    addresses: readonly Address[],
    way: Way,
    reason: string | null,
  ): Promise<void>
  /** @param message why it failed, without secrets; null: it went well */
  noteOutcome(claims: onboarding.WalletClaims, addresses: readonly Address[], message: string | null): Promise<void>
  /** Takes back what filtered questions found for a wallet: its blocks are lacking again. */
  retractFiltered(chainId: number, address: Address): Promise<void>
  /** Whether a transaction is known that the wallet sent. */
  hasSent(address: Address): Promise<boolean>
  countOnboarding(chainId: number): Promise<onboarding.OnboardingCount>
  /** What is done about one wallet's past; null: nothing yet. */
  walletWork(chainId: number, address: Address): Promise<onboarding.WalletWork | null>
  /** A wallet as it was tracked at the last comparison; null: it was not. */
  trackedWallet(address: Address): Promise<{ readonly userId: string | null } | null>
  /** Value that a wallet got or paid inside of transactions, the newest first. */
  internalValue(chainId: number, address: Address, limit: number): Promise<internal.InternalValue[]>

  /**
   * Compares the newest users and watched wallets with the set of tracked wallets. One cheap query where nothing is new; finds nobody
   * who committed late, was changed or deleted.
   */
  compareNewest(): Promise<comparison.Compared>
  /** Compares so many users, in the order of the addresses. @returns `upto`: after what the next slice begins; null: it was the last */
  compareSlice(after: string, limit: number): Promise<comparison.Compared & { readonly upto: string | null }>
  /**
   * Compares all users and the watch-list, slice by slice: seconds for a million. @returns the set's version then
   *
   * @throws AppError ABORTED between two slices
   */
  compareAll(signal?: AbortSignal): Promise<comparison.SetState>
  /** The same. @returns the version of the set of tracked wallets */
  syncWallets(): Promise<number>
  /** Brings a reader from a state of the set to the present one, which is returned: by its changes where these lead there, else whole. */
  readWallets(since: comparison.SetState, reader: registry.SetReader): Promise<comparison.SetState>
  loadWallets(sinceVersion: number): AsyncGenerator<readonly WalletChange[]>
  /** @returns false when no wallet waits */
  attributeNextWallet(chains: ReadonlyMap<number, Chain>): Promise<boolean>
  /** Queues wallets whose activities lost the former owner they named. @returns how many */
  queueOwnerless(): Promise<number>
  addToWatchlist(address: Address, label: string | null): Promise<boolean>
  removeFromWatchlist(address: Address): Promise<boolean>
  watchlist(): Promise<registry.WatchedWallet[]>

  enrollApplicationRows(scope: 'pending' | 'all'): Promise<number>
  /** Sets right what the application overwrote, and brings back what went with a user. @returns how many rows */
  restoreRows(chains: ReadonlyMap<number, Chain>, scope: 'pending' | 'all'): Promise<number>
  sought(): Promise<Set<Hash>>
  /** @param scope `all`: also some that count as dropped, ever more rarely */
  nextSought(limit: number, notWithinMs: number, scope: 'pending' | 'all'): Promise<Hash[]>

  /** Derives rows of `user_transactions` again from the activities in the database. */
  rederive(hashes: readonly Hash[], chains: ReadonlyMap<number, Chain>): Promise<void>

  /** What is known of some sought transactions. */
  unseen(hashes: readonly Hash[]): Promise<unseen.Unseen[]>
  noteSender(hash: Hash, chainId: number, sender: Address, nonce: number): Promise<void>
  /** A row for a transaction that a mempool shows, unless there is one. */
  notePending(chain: Chain, row: PendingRow): Promise<void>
  /** A transaction of the chain that is at least as old as a moment (Unix seconds), or null. */
  controlTransaction(chainId: number, notAfter: number): Promise<Hash | null>
  /** @returns false if the replacing block is not ours, or the transaction was found meanwhile */
  commitReplaced(hash: Hash, replacement: unseen.Replacement): Promise<boolean>
  /** @returns how often in a row nobody had it */
  noteSurvey(hash: Hash, result: SurveyResult): Promise<number>
  /** Takes back what the application called decided. @returns false if it was found meanwhile */
  commitUnseen(hash: Hash): Promise<boolean>
  commitDropped(hash: Hash, witnesses: readonly string[]): Promise<boolean>

  tokens(chainId: number, addresses: readonly Address[]): Promise<tokens.TokenFacts[]>
  saveToken(chainId: number, token: tokens.TokenFacts, askedAtBlock: number): Promise<void>

  claimLease(name: string, holder: string): Promise<leases.Lease | null>
  /** False: somebody else holds it by now. */
  renewLease(lease: leases.Lease): Promise<boolean>
  releaseLease(lease: leases.Lease): Promise<void>
  leaseHolder(name: string): Promise<string | null>

  /** Joins the open job that is for the same, or makes it. null: everything is complete */
  openJob(job: jobs.JobRequest): Promise<jobs.OpenJob | null>
  /** A job by its id; null: there is none. */
  job(id: string): Promise<jobs.OpenJob | null>
  /** How far a job is, by all who work on it; null: there is none. */
  jobProgress(id: string): Promise<jobs.JobProgress | null>
  /** Blocks that one process wrote for a job. */
  jobShare(id: string, holder: string): Promise<number>
  /** Gives a process's claims back, and says why it goes; null: there is nothing to say. */
  leaveJob(id: string, holder: string, problem: string | null): Promise<void>
  jobs(limit: number): Promise<jobs.Job[]>
  /** The next piece of a job for a process. @throws AppError LEASE_LOST: there is no such job any more */
  claimPiece(request: pieces.ClaimRequest): Promise<pieces.ClaimAnswer>
  /** Extends those claims that are still held. */
  renewClaims(held: readonly pieces.Claim[]): Promise<void>
  /** Gives back all that a process holds of a job. */
  returnClaims(jobId: string, holder: string): Promise<void>

  /** Calls back when the application changed its users or transactions, where the database can tell. @returns ends it */
  listen(what: 'users' | 'transactions', onNotify: () => void): Promise<() => Promise<void>>

  /** Everything that is known of one transaction. */
  story(hash: Hash): Promise<Story>
  totals(): Promise<counts.Totals>
  /** Pending rows that say this chain. */
  pendingCount(label: string): Promise<number>

  /** Adds to a day's requests of an endpoint, by all processes. @param day days since 1970 (UTC) @returns all of that day */
  addRequests(chainId: number, endpoint: string, day: number, requests: number): Promise<number>

  close(): Promise<void>
}

const CLOSE_TIMEOUT_SECONDS = 5

/** @throws nothing: the database is first asked when the first method is called */
export function createStore(url: string): Store & { readonly sql: Sql } {
  const sql = connect(url)
  return {
    sql,
    checkpoint: chainId => checkpoints.loadCheckpoint(sql, chainId),
    headerAt: (chainId, number) => checkpoints.headerAt(sql, chainId, number),
    window: (chainId, fromNumber) => checkpoints.loadWindow(sql, chainId, fromNumber),
    anchors: chainId => checkpoints.loadAnchors(sql, chainId),
    setHalt: (chainId, halt) => checkpoints.setHalt(sql, chainId, halt),
    suspects: chainId => missing.loadSuspects(sql, chainId),
    lowestSuspect: chainId => missing.lowestSuspect(sql, chainId),
    commitAdvance: step => commits.commitAdvance(sql, step),
    commitBackfill: piece => commits.commitBackfill(sql, piece),
    commitRewind: step => commits.commitRewind(sql, step),
    commitFound: found => commits.commitFound(sql, found),
    commitRepair: repair => commits.commitRepair(sql, repair),
    coverage: chainId => coverage.loadCoverage(sql, chainId),
    walletCoverage: (chainId, address) => coverage.loadWalletCoverage(sql, chainId, address),
    walletCompleteness: (chainId, address) => coverage.loadWallet(sql, chainId, address),
    differingCoverage: chainId => coverage.loadWallets(sql, chainId),
    claimWallets: (held, bounds, limit) => onboarding.claimWallets(sql, held, bounds, limit),
    renewWalletClaims: held => onboarding.renewWalletClaims(sql, held),
    releaseWalletClaims: held => onboarding.releaseWalletClaims(sql, held),
    noteWay: (held, addresses, way, reason) => onboarding.noteWay(sql, held, addresses, way, reason),
    noteOutcome: (held, addresses, message) => onboarding.noteOutcome(sql, held, addresses, message),
    retractFiltered: (chainId, address) => onboarding.retract(sql, chainId, address),
    hasSent: address => onboarding.hasSent(sql, address),
    countOnboarding: chainId => onboarding.countOnboarding(sql, chainId),
    walletWork: (chainId, address) => onboarding.loadWork(sql, chainId, address),
    trackedWallet: address => onboarding.loadTracked(sql, address),
    internalValue: (chainId, address, limit) => internal.loadInternal(sql, chainId, address, limit),
    compareNewest: () => comparison.compareNewest(sql),
    compareSlice: (after, limit) => comparison.compareSlice(sql, after, limit),
    compareAll: signal => comparison.compareAll(sql, signal),
    syncWallets: async () => (await comparison.compareAll(sql)).version,
    readWallets: (since, reader) => registry.readWallets(sql, since, reader),
    loadWallets: sinceVersion => registry.loadWallets(sql, sinceVersion),
    attributeNextWallet: chains => registry.attributeNextWallet(sql, chains),
    queueOwnerless: () => registry.queueOwnerless(sql),
    addToWatchlist: (address, label) => registry.addToWatchlist(sql, address, label),
    removeFromWatchlist: address => registry.removeFromWatchlist(sql, address),
    watchlist: () => registry.listWatchlist(sql),
    enrollApplicationRows: scope => sought.enrollApplicationRows(sql, scope),
    restoreRows: (chains, scope) => sought.restoreRows(sql, chains, scope),
    sought: () => sought.loadSought(sql),
    nextSought: (limit, notWithinMs, scope) => sought.nextSought(sql, limit, notWithinMs, scope),
    rederive: (hashes, chains) => registry.rederive(sql, chains, hashes),
    unseen: hashes => unseen.loadUnseen(sql, hashes),
    noteSender: (hash, chainId, sender, nonce) => unseen.noteSender(sql, hash, chainId, sender, nonce),
    notePending: (chain, row) => unseen.notePending(sql, chain, row),
    controlTransaction: (chainId, notAfter) => unseen.controlTransaction(sql, chainId, notAfter),
    commitReplaced: (hash, replacement) => unseen.commitReplaced(sql, hash, replacement),
    noteSurvey: (hash, result) => unseen.noteSurvey(sql, hash, result),
    commitUnseen: hash => unseen.commitUnseen(sql, hash),
    commitDropped: (hash, witnesses) => unseen.commitDropped(sql, hash, witnesses),
    tokens: (chainId, addresses) => tokens.loadTokens(sql, chainId, addresses),
    saveToken: (chainId, token, askedAtBlock) => tokens.saveToken(sql, chainId, token, askedAtBlock),
    claimLease: (name, holder) => leases.claimLease(sql, name, holder),
    renewLease: lease => leases.renewLease(sql, lease),
    releaseLease: lease => leases.releaseLease(sql, lease),
    leaseHolder: name => leases.leaseHolder(sql, name),
    openJob: job => jobs.openJob(sql, job),
    job: id => jobs.loadOpenJob(sql, id),
    jobProgress: id => jobs.loadProgress(sql, id),
    jobShare: (id, holder) => jobs.loadShare(sql, id, holder),
    leaveJob: (id, holder, problem) => jobs.leaveJob(sql, id, holder, problem),
    jobs: limit => jobs.listJobs(sql, limit),
    claimPiece: request => pieces.claimPiece(sql, request),
    renewClaims: held => pieces.renewClaims(sql, held),
    returnClaims: (jobId, holder) => pieces.returnClaims(sql, jobId, holder),
    listen: (what, onNotify) => listen(sql, `indexer_${what}`, onNotify),
    story: hash => loadStory(sql, hash),
    totals: () => counts.loadTotals(sql),
    pendingCount: label => counts.countPending(sql, label),
    addRequests: (chainId, endpoint, day, requests) => addRequests(sql, chainId, endpoint, day, requests),
    close: () => sql.end({ timeout: CLOSE_TIMEOUT_SECONDS }),
  }
}
