/**
 * `demo`: everything on this machine, and something to see.
 */

import { styleText } from 'node:util'
import { withApp } from '../app.ts'
import type { Sql } from 'postgres'
import { play } from '../demo/play.ts'
import { type DaemonLine, openStage, type Stage } from '../demo/stage.ts'
import { AppError } from '../errors.ts'
import { sleep } from '../runtime/sleep.ts'
import type { CommandInput, ExitCode } from './command.ts'
import { describeStatus } from './status.ts'
import { statusOf } from '../status.ts'
import { verify } from './verify.ts'

const SEED = 7
const STATUS_EVERY_MS = 5_000
const MAX_SETTLE_POLLS = 200
const SETTLE_POLL_MS = 100

export type DemoInput = Omit<CommandInput, 'config'> & {
  /** null: until Ctrl-C. */
  readonly seconds: number | null
}

export async function runDemo(input: DemoInput): Promise<ExitCode> {
  const { print, root, signal, seconds } = input
  print('Starting a Postgres and two local chains …')
  const stage = await openStage(root, signal)
  try {
    const { httpUrl, ended } = await stage.startDaemon(line => tellDaemon(print, line))
    print('')
    print(`  psql    psql "${stage.databaseUrl}"`)
    print(`  HTTP    ${httpUrl}/status`)
    print(
      `  chains  ${stage.config.chains.map(({ chain }) => `${chain.name} ${stage.anvils.get(chain.id)?.url}`).join('   ')}`,
    )
    print('')
    const curtain = AbortSignal.any([signal, ...(seconds === null ? [] : [AbortSignal.timeout(seconds * 1000)])])
    const quiet = { ...stage.config, log: { level: 'warn', format: 'pretty' } } as const
    return await withApp<ExitCode>({ ...input, config: quiet, logTo: 2, migrate: false }, async app => {
      const chains = stage.config.chains.flatMap(({ chain }) => {
        const anvil = stage.anvils.get(chain.id)
        return anvil === undefined ? [] : [{ chain, anvil }]
      })
      const tell = (chain: string, words: string) => print(`${pad(chain)}  ${words}`)
      const show = showStatus(app.store.sql, print, curtain)
      await Promise.race([play({ sql: app.store.sql, chains, seed: SEED, tell }, curtain), refuseEnd(ended, curtain)])
      await show
      if (signal.aborted) return 0
      return conclude(stage, app, input)
    })
  } finally {
    await stage.close()
    print('Stopped; nothing is left running.')
  }
}

/** The daemon must not end before the curtain falls. */
async function refuseEnd(ended: Promise<number | null>, curtain: AbortSignal): Promise<void> {
  const code = await ended
  if (!curtain.aborted) throw new AppError('INTERNAL', `The daemon ended with ${code} while the demo went on.`)
}

/** What the daemon says of blocks with rows, reorgs and trouble. */
function tellDaemon(print: (line: string) => void, line: DaemonLine): void {
  const chain = typeof line['chain'] === 'string' ? line['chain'] : ''
  const { activities, settled, block, depth } = line as {
    activities?: number
    settled?: number
    block?: number
    depth?: number
  }
  if (line.msg === 'Reorg') {
    print(
      paint(
        'magenta',
        `${pad(chain)}  ▸ reorg of depth ${depth}: ${count(Number(line['takenBack']), 'row')} taken back`,
      ),
    )
  } else if (block !== undefined && (activities ?? 0) + (settled ?? 0) > 0) {
    const decided = settled ? `, ${count(settled, 'transaction')} decided` : ''
    print(
      paint('green', `${pad(chain)}  ▸ block ${block}: ${count(activities ?? 0, 'activity', 'activities')}${decided}`),
    )
  } else if (line.level === 'error') print(paint('red', `${pad(chain)}  ▸ ${line.msg}`))
}

async function showStatus(sql: Sql, print: (line: string) => void, signal: AbortSignal): Promise<void> {
  for (;;) {
    await sleep(STATUS_EVERY_MS, signal)
    if (signal.aborted) return
    const [row] = await sql`
      select count(*) filter (where status = 'confirmed')::int as confirmed, count(*) filter (where status = 'failed')::int as failed,
        count(*) filter (where status = 'pending')::int as pending, (select count(*)::int from wallet_activity) as activities
      from user_transactions`
    const counts = `${row?.['confirmed']} confirmed, ${row?.['failed']} failed, ${row?.['pending']} pending`
    print(paint('yellow', `${pad('')}  ═ ${row?.['activities']} activities; transactions: ${counts}`))
  }
}

/** Waits until the daemon has everything, compares every row with the chains, and sums up. */
async function conclude(stage: Stage, app: Parameters<typeof verify>[0], input: DemoInput): Promise<ExitCode> {
  const { print, signal } = input
  print('')
  print('The curtain falls; the daemon finishes, then every row is compared with the chains.')
  for (const { chain } of stage.config.chains) {
    const head = Number(await stage.anvils.get(chain.id)?.rpc('eth_blockNumber'))
    for (let polls = 0; ((await app.store.checkpoint(chain.id))?.number ?? -1) < head; polls += 1) {
      if (polls >= MAX_SETTLE_POLLS)
        throw new AppError('INTERNAL', `The daemon did not reach block ${head} of ${chain.name}.`)
      await sleep(SETTLE_POLL_MS, signal)
    }
  }
  let isRight = true
  for (const { chain } of stage.config.chains) {
    const head = (await app.store.checkpoint(chain.id))?.number ?? 0
    const options = { chain: chain.name, fromBlock: 0, toBlock: head, wallets: [], repair: false }
    if ((await verify(app, { ...input, terminal: null }, options)) !== 0) isRight = false
  }
  print('')
  for (const line of await countTypes(app.store.sql)) print(line)
  for (const line of describeStatus(await statusOf(app, { states: null }))) print(line)
  print(isRight ? paint('bold', 'Every row matches the chains.') : paint('red', 'There are differences: see above.'))
  return isRight ? 0 : 1
}

async function countTypes(sql: Sql): Promise<string[]> {
  const rows = await sql<{ type: string; mainnet: number; sepolia: number }[]>`
    select activity_type as type, count(*) filter (where chain_id = 1)::int as mainnet,
      count(*) filter (where chain_id = 11155111)::int as sepolia
    from wallet_activity group by 1 order by 1`
  return [
    `${'activity'.padEnd(22)}${'mainnet'.padStart(9)}${'sepolia'.padStart(9)}`,
    ...rows.map(row => `${row.type.padEnd(22)}${String(row.mainnet).padStart(9)}${String(row.sepolia).padStart(9)}`),
    '',
  ]
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`
}

/** In colour on a terminal that has it; NO_COLOR is obeyed. */
function paint(colour: 'green' | 'yellow' | 'magenta' | 'red' | 'bold', text: string): string {
  return styleText(colour, text, { stream: process.stdout })
}

function pad(chain: string): string {
  return chain.padEnd(8)
}
