/**
 * What `status --wallet` and `verify --wallet` say of a wallet, word for word: before its past is filled, while it can't be, and after.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { CommandInput, ExitCode } from '../../src/commands/command.ts'
import { runStatus } from '../../src/commands/status.ts'
import { runVerify } from '../../src/commands/verify.ts'
import { loadConfig } from '../../src/config/env.ts'
import type { Address } from '../../src/core/types.ts'
import { ALICE, BOB, createBusyWorld, EARLY, HEAD, openScene, type Scene } from '../support/onboarding-scene.ts'
import { smallHash } from '../support/small-chain.ts'

const FINAL = HEAD - 30
const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const CHAIN_FILE = {
  id: 31337,
  name: 'local',
  rpc: { env: 'LOCAL_RPC_URL' },
  confirmations: 3,
  startBlock: 0,
  blockTimeSeconds: 12,
  nativeToken: { symbol: 'ETH', decimals: 18 },
}
const WAS_READ = 'every block was read, and its parts fit together'
const WAS_FOUND =
  'found from the state of the account, and from filtered logs of one endpoint, whose word it is that there is no more; what was found was read whole'
const OLD_EVENTS =
  '  events of contracts that index no address (older than the token standards) are found in those blocks only if the file of local names them in a rule.'
const NO_TRACES =
  '  value that moved inside of transactions has no rows: no traces were read, and whole blocks do not show it.'

const world = createBusyWorld()
let scene: Scene
let directory = ''

beforeEach(async () => {
  scene = await openScene(world, [{ finalized: FINAL }])
  directory = await mkdtemp(join(tmpdir(), 'linkdao-wallet-'))
  await writeFile(join(directory, 'chain.json'), JSON.stringify(CHAIN_FILE))
})

afterEach(async () => {
  await scene.close()
  await rm(directory, { recursive: true, force: true })
})

async function run(work: (input: CommandInput) => Promise<ExitCode>): Promise<{ code: ExitCode; lines: string[] }> {
  const lines: string[] = []
  const env = {
    DATABASE_URL: scene.database.url,
    LOCAL_RPC_URL: scene.nodes[0]?.url ?? '',
    CHAINS_DIR: directory,
    LOG_LEVEL: 'error',
  }
  const code = await work({
    config: loadConfig({ env, cwd: directory, isTerminal: false }),
    root: ROOT,
    signal: new AbortController().signal,
    print: line => lines.push(line),
    terminal: null,
  })
  return { code, lines }
}

const status = async (wallet: Address) =>
  (await run(input => runStatus(input, { json: false, tx: null, wallet }))).lines
const verify = (...wallets: readonly Address[]) =>
  run(input => runVerify(input, { chain: 'local', fromBlock: 0, toBlock: HEAD, wallets, repair: false }))
const link = async (wallet: Address) => {
  await scene.context.store.addToWatchlist(wallet, null)
  await scene.context.registry.refresh('now')
}

describe('status --wallet', () => {
  test('of a stranger says what to do', async () => {
    expect(await status(BOB)).toEqual([
      `${BOB} is not tracked: it has no rows, and no history is kept. Watch it: wallets add ${BOB}`,
    ])
  })

  test('of a wallet that was there from the beginning says that all is complete', async () => {
    expect(await status(EARLY)).toEqual([
      `${EARLY} is tracked: it is watched.`,
      `local (31337): complete, blocks 0 to ${HEAD}.`,
      `  complete: blocks 0 to ${HEAD}: ${WAS_READ}.`,
      NO_TRACES,
    ])
  })

  test('of one that was linked late says what is missing and what becomes of it, and afterwards how it was found', async () => {
    await link(ALICE)
    expect(await status(ALICE)).toEqual([
      `${ALICE} is tracked: it is watched.`,
      `local (31337): 0 of ${HEAD + 1} blocks are complete (blocks 0 to ${HEAD}).`,
      `  missing: blocks 0 to ${FINAL}: the wallet was linked later; a daemon (run) fills them.`,
      `  missing: blocks ${FINAL + 1} to ${HEAD}: the wallet was linked later, and they are not final yet; they are filled as soon as they are.`,
    ])
    await scene.fill()
    expect(await status(ALICE)).toEqual([
      `${ALICE} is tracked: it is watched.`,
      `local (31337): ${FINAL + 1} of ${HEAD + 1} blocks are complete (blocks 0 to ${HEAD}).`,
      `  complete: blocks 0 to ${FINAL}: ${WAS_FOUND}.`,
      `  missing: blocks ${FINAL + 1} to ${HEAD}: the wallet was linked later, and they are not final yet; they are filled as soon as they are.`,
      '  where its account was looked at, its balance shows value that moved inside of transactions:',
      `    block 401: +0.0000000000000005 ETH came from inside transaction ${smallHash('transaction', 401, 0)}`,
      OLD_EVENTS,
    ])
  })

  test('says who works on it, why every block is read, and what failed', async () => {
    await link(BOB)
    const { store } = scene.context
    const claims = { chainId: 31_337, holder: 'somebody' }
    await store.claimWallets(claims, { from: 0, to: FINAL }, 1)
    await store.noteWay(claims, [BOB], 'whole', 'could-be-contract')
    expect((await status(BOB))[2]).toBe(
      `  missing: blocks 0 to ${FINAL}: the wallet was linked later; they are being filled now by reading every block, because it has sent nothing there, so it could be a contract that is yet to come.`,
    )
    await store.noteOutcome(claims, [BOB], 'No endpoint of chain 31337 answered')
    await store.releaseWalletClaims(claims)
    expect((await status(BOB))[2]).toMatch(
      /filling them failed \(No endpoint of chain 31337 answered\); it is tried again in \d+ s\.$/,
    )
  })

  test('says the same as JSON, amounts as text', async () => {
    await scene.fill(ALICE)
    const { lines } = await run(input => runStatus(input, { json: true, tx: null, wallet: ALICE }))
    expect(JSON.parse(lines.join('\n'))).toMatchObject({
      address: ALICE,
      tracked: true,
      userId: null,
      chains: [
        {
          chain: 'local',
          startBlock: 0,
          indexed: HEAD,
          finalized: FINAL,
          complete: [{ from: 0, to: FINAL, proof: 'filtered' }],
          missing: [{ from: FINAL + 1, to: HEAD, reason: 'not-final' }],
          missingBlocks: HEAD - FINAL,
          internal: [{ wallet: ALICE, blockNumber: 401, amount: '500' }],
        },
      ],
    })
  })
})

describe('verify --wallet', () => {
  test('proves what is complete, names what is not, and succeeds only with all of it', async () => {
    await link(ALICE)
    await scene.fill()
    const before = await verify(ALICE)
    expect(before).toEqual({
      code: 1,
      lines: [
        `${ALICE}: 10 activities compared, none differs from the chain; its history in these blocks is not complete.`,
        `  compared: blocks 0 to ${FINAL}: ${WAS_FOUND}.`,
        `  missing: blocks ${FINAL + 1} to ${HEAD}: the wallet was linked later, and they are not final yet; they are filled as soon as they are.`,
        `local: ${FINAL + 1} blocks, 1 wallets, no differences.`,
      ],
    })
    await scene.database.sql`update indexer.checkpoints set finalized_number = ${HEAD}`
    await scene.fill()
    const after = await verify(ALICE)
    expect(after.code).toBe(0)
    expect(after.lines[0]).toBe(
      `${ALICE}: 10 activities compared, none differs from the chain; its history in these blocks is complete.`,
    )
  })

  test('of two wallets is no success where one lacks what the other has', async () => {
    await link(BOB)
    const { code, lines } = await verify(EARLY, BOB)
    expect(code).toBe(1)
    expect(lines).toContain(
      `${BOB}: 0 activities compared, none differs from the chain; its history in these blocks is not complete.`,
    )
    expect((await verify(EARLY)).code).toBe(0)
  })

  test('tells a row that is missing, and one that the chain does not have', async () => {
    await scene.fill(ALICE)
    await scene.database.sql`delete from wallet_activity where wallet_address = ${ALICE} and block_number = 300`
    await scene.database
      .sql`update wallet_activity set raw_amount = 8 where wallet_address = ${ALICE} and block_number = 40`
    const { code, lines } = await verify(ALICE)
    expect(code).toBe(1)
    expect(lines.filter(line => line.includes('missing: ') && line.includes('300'))).not.toHaveLength(0)
    expect(lines).toContain(
      `${ALICE}: 10 activities compared, 2 differ from the chain; its history in these blocks is not complete.`,
    )
  })
})
