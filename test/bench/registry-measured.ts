/**
 * The process that is measured by the workload `registry`: a registry on a database, or the set of wallets alone.
 *
 * It is one of its own, so that the benchmark's memory is not taken for the registry's, and it collects its garbage before it looks
 * (`--expose-gc`): what is left is what the wallets cost. It reads one task and tells what it took.
 */

import { once } from 'node:events'
import { createHash } from 'node:crypto'
import type { Address } from '../../src/core/types.ts'
import { createWalletSet, packChange } from '../../src/core/wallet-set.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { createStore } from '../../src/store/store.ts'
import { createRegistry, type Registry } from '../../src/wallets/registry.ts'

export type RegistryTask =
  | { readonly kind: 'start'; readonly databaseUrl: string }
  | { readonly kind: 'look'; readonly databaseUrl: string }
  | { readonly kind: 'set'; readonly wallets: number }

export type RegistryTaken = {
  readonly wallets: number
  readonly startMs: number
  readonly startCpuMs: number
  /** Beyond what the process had before. */
  readonly residentBytes: number
  readonly strangerNs: number
  readonly trackedNs: number
  /** Only where a database was looked at. */
  readonly refreshMs: readonly number[]
  readonly newUserMs: number
  readonly roundMs: number
}

const LOOKUPS = 200_000
const REFRESHES = 60
const BATCH = 2_000
const USER = '00112233-4455-4677-8899-aabbccddeeff'
/** After this long, a look that found something explains nothing any more. */
const FORGET_MS = 2_500

const [task] = (await once(process, 'message')) as [RegistryTask]
const taken = task.kind === 'set' ? measureSet(task.wallets) : await measureRegistry(task)
process.send?.(taken)
process.disconnect()

function resident(): number {
  for (let round = 0; round < 3; round += 1) global.gc?.()
  return process.memoryUsage.rss()
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

async function measureRegistry({ kind, databaseUrl }: Exclude<RegistryTask, { kind: 'set' }>): Promise<RegistryTaken> {
  const store = createStore(databaseUrl)
  try {
    const registry = createRegistry(store, systemClock)
    // The connection and the code are there without any wallets too.
    await store.watchlist()
    const before = resident()
    const [started, startedCpu] = [performance.now(), cpuMs()]
    await registry.refresh()
    const startMs = performance.now() - started
    const startCpuMs = cpuMs() - startedCpu
    const residentBytes = resident() - before
    const tracked = kind === 'look' ? await someWallets(store) : []
    const looked =
      kind === 'look' ? await look(store, registry) : { refreshMs: [], newUserMs: Number.NaN, roundMs: Number.NaN }
    return {
      wallets: registry.size,
      startMs,
      startCpuMs,
      residentBytes,
      ...timeLookups((text, at) => registry.tracksAt(text, at), tracked),
      ...looked,
    }
  } finally {
    await store.close()
  }
}

async function someWallets({ sql }: ReturnType<typeof createStore>): Promise<Address[]> {
  const rows = await sql<{ address: Address }[]>`
    select address from indexer.wallets where tracked order by user_id limit ${LOOKUPS / 10}`
  return rows.map(({ address }) => address)
}

async function look(store: ReturnType<typeof createStore>, registry: Registry) {
  const refreshMs: number[] = []
  for (let count = 0; count < REFRESHES; count += 1) {
    const started = performance.now()
    await registry.refresh()
    refreshMs.push(performance.now() - started)
  }
  const wallet: Address = `0x${createHash('sha256').update('new user').digest('hex').slice(0, 40)}`
  await store.sql`insert into users (wallet_address) values (${wallet})`
  const linked = performance.now()
  await registry.refresh()
  if (!registry.isTracked(wallet)) throw new Error('the new user was not seen')
  const newUserMs = performance.now() - linked
  // Found by nobody but a round, because it is nothing new: somebody else's wallet.
  await store.sql`delete from users where wallet_address = ${wallet}`
  await new Promise(resolve => {
    setTimeout(resolve, FORGET_MS)
  })
  const deleted = performance.now()
  registry.hint()
  await registry.compareOn(new AbortController().signal)
  if (registry.isTracked(wallet)) throw new Error('the deleted user was not seen')
  return { refreshMs, newUserMs, roundMs: performance.now() - deleted }
}

function timeLookups(tracksAt: (text: string, at: number) => boolean, tracked: readonly string[]) {
  const strangers = Array.from({ length: LOOKUPS }, (_, index) => hex('stranger', index)).join('')
  const wallets = tracked.map(address => address.slice(2)).join('')
  const time = (text: string) => {
    const count = text.length / 40
    let found = 0
    // The first pass is the compiler's.
    let started = cpuMs()
    for (let pass = 0; pass < 3; pass += 1) {
      started = cpuMs()
      found = 0
      for (let index = 0; index < count; index += 1) if (tracksAt(text, index * 40)) found += 1
    }
    return { ns: ((cpuMs() - started) * 1e6) / count, found }
  }
  const stranger = time(strangers)
  const known = time(wallets)
  if (stranger.found > 0 || known.found !== tracked.length) throw new Error('the set is not what was put in')
  return { strangerNs: stranger.ns, trackedNs: known.ns }
}

function hex(word: string, index: number): string {
  return createHash('sha256').update(`${word}:${index}`).digest('hex').slice(0, 40)
}

function measureSet(count: number): RegistryTaken {
  const before = resident()
  const [started, startedCpu] = [performance.now(), cpuMs()]
  const set = createWalletSet(count)
  for (let from = 0; from < count; from += BATCH)
    set.take(
      Array.from({ length: Math.min(BATCH, count - from) }, (_, index) =>
        packChange({ address: `0x${hex('wallet', from + index)}`, userId: USER, tracked: true }),
      ).join(''),
    )
  const startMs = performance.now() - started
  const startCpuMs = cpuMs() - startedCpu
  const tracked = Array.from({ length: LOOKUPS / 10 }, (_, index) => `0x${hex('wallet', index)}`)
  const residentBytes = resident() - before
  return {
    wallets: set.size,
    startMs,
    startCpuMs,
    residentBytes,
    ...timeLookups(set.hasAt, tracked),
    refreshMs: [],
    newUserMs: Number.NaN,
    roundMs: Number.NaN,
  }
}
