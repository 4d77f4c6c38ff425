/**
 * The command line: names, options and help of every command. What is wrong with it is told on standard error, with exit code 2.
 */

import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import type { Config } from '../config/env.ts'
import { toAddress } from '../config/address.ts'
import type { Address, Hash } from '../core/types.ts'
import { CLAIM_TTL_MS } from '../store/store.ts'
import { runBackfill } from './backfill.ts'
import type { CommandInput, ExitCode } from './command.ts'
import { runDemo } from './demo.ts'
import { runDoctor } from './doctor.ts'
import { runMigrate } from './migrate.ts'
import { run } from './run.ts'
import { runStatus } from './status.ts'
import { runVerify } from './verify.ts'
import { runWallets } from './wallets.ts'

/** Told already; what is left is the exit code. */
export class UsageError extends Error {}

export type ProgramInput = Omit<CommandInput, 'config'> & {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Only commands that need it load it: `--help` works with a broken configuration. */
  readonly loadConfiguration: () => Config
}

const HELP = `
Exit codes: 0 done, 1 work failed or differences found, 2 usage or configuration, 75 temporary failure worth a restart.
Configuration: environment variables or .env (see .env.example); chains are the files in CHAINS_DIR.

First steps:
  npm run demo                 see it work, with nothing set up
  cp .env.example .env         then set DATABASE_URL and the RPC URLs
  npm run doctor               what is wrong, and how to mend it
  npm run migrate              create the tables
  npm start                    follow the chains`

export function createProgram(input: ProgramInput): { run(args: readonly string[]): Promise<ExitCode> } {
  let outcome: (() => Promise<ExitCode>) | null = null
  const withConfig = (work: (command: CommandInput) => Promise<ExitCode>) => {
    outcome = () => work({ ...input, config: input.loadConfiguration() })
  }
  const program = new Command('linkdao-indexer')
    .description("Follows Ethereum chains and writes what an application's users do on chain into its Postgres.")
    .addHelpText('after', HELP)
    .exitOverride()
    .showHelpAfterError('(--help shows what there is)')

  program
    .command('run')
    .description('the daemon: follows every enabled chain until SIGTERM or SIGINT')
    .option('--migrate', 'migrate the database first', false)
    .option(
      '--accept-reorg <chain>',
      'take back what a reorg beyond finality orphaned on this chain (repeatable)',
      collect,
      [],
    )
    .action((options: { migrate: boolean; acceptReorg: string[] }) => withConfig(command => run(command, options)))

  addBackfill(program, withConfig)

  program
    .command('migrate')
    .description('brings the database to the schema of this version, or takes back what this project created')
    .option('--down', 'take back', false)
    .option('--drop-data', 'with --down: also tables that hold rows', false)
    .option('--to <number>', 'the last migration to apply, or with --down the last that stays', parseBlock)
    .action((options: { down: boolean; dropData: boolean; to?: number }) =>
      withConfig(command => runMigrate(command, { ...options, to: options.to ?? null })),
    )

  program
    .command('status')
    .description('how far every chain is: head, indexed, finalized, lag, endpoints, backfills, wallets')
    .option('--json', 'as JSON', false)
    .option('--tx <0x…>', 'the story of one transaction: where it stands, and why its status is what it is', parseHash)
    .option(
      '--wallet <0x…>',
      'one wallet: which blocks are complete for it, how that is known, what is missing',
      parseAddress,
    )
    .action((options: { json: boolean; tx?: Hash; wallet?: Address }) =>
      withConfig(command =>
        runStatus(command, { json: options.json, tx: options.tx ?? null, wallet: options.wallet ?? null }),
      ),
    )

  program
    .command('verify')
    .description('derives the rows of a range again from the chain and prints every difference')
    .requiredOption('--chain <id or name>', 'the chain')
    .requiredOption('--from-block <number>', 'first block', parseBlock)
    .requiredOption('--to-block <number>', 'last block', parseBlock)
    .option('--wallet <0x…>', 'only this wallet, and whether its history is complete (repeatable)', collectAddress, [])
    .option('--repair', 'write what is right', false)
    .action((options: { chain: string; fromBlock: number; toBlock: number; wallet: Address[]; repair: boolean }) =>
      withConfig(command => runVerify(command, { ...options, wallets: options.wallet })),
    )

  program
    .command('doctor')
    .description('checks configuration, database and every RPC endpoint, and says how to mend what is wrong')
    .action(() => withConfig(runDoctor))

  addWallets(program, withConfig)

  program
    .command('demo')
    .description('everything on this machine: a Postgres, two local chains, the daemon and visible traffic')
    .addOption(
      new Option(
        '--seconds <number>',
        'end by itself with a summary; exit code 0 only if every row is right',
      ).argParser(parseSeconds),
    )
    .action((options: { seconds?: number }) => {
      outcome = () => runDemo({ ...input, seconds: options.seconds ?? null })
    })

  return {
    async run(args) {
      try {
        await program.parseAsync(args.length === 0 ? ['--help'] : [...args], { from: 'user' })
      } catch (error) {
        if (!(error instanceof CommanderError)) throw error
        if (error.exitCode === 0) return 0
        throw new UsageError(error.message)
      }
      return outcome === null ? 0 : outcome()
    },
  }
}

const BACKFILL_HELP = `
The same command (chain, blocks, wallets), run several times, on this machine or on others with the same database, is one job: each
process takes pieces that nobody else has. One that dies or hangs loses its pieces after ${CLAIM_TTL_MS / 1000} s, and the others take them. Ctrl-C
gives them back at once; the same command goes on from there. How far it is, and who works on it: status.

  --workers 4     for a machine with four cores or more. One process uses about one core; with remote endpoints it mostly waits for
                  them, and more workers help only as far as they answer more. The daily budget of an endpoint is kept by all
                  together; its limit of requests a second is kept by each, so divide it by the number of workers.
                  Each opens up to 8 connections to Postgres.`

function addBackfill(program: Command, withConfig: (work: (command: CommandInput) => Promise<ExitCode>) => void): void {
  program
    .command('backfill')
    .description('indexes a block range and exits; safe beside a daemon, resumable, and shared by all who run the same')
    .requiredOption('--chain <id or name>', 'the chain')
    .requiredOption('--from-block <number>', 'first block', parseBlock)
    .requiredOption('--to-block <number|finalized|latest>', 'last block', parseEnd)
    .option('--wallet <0x…>', 'only this wallet (repeatable)', collectAddress, [])
    .option(
      '--workers <number>',
      'processes on this machine that share the work; all end with this one',
      parseWorkers,
      1,
    )
    .addOption(new Option('--job <id>', 'work on this job, under the process that started this one').hideHelp())
    .addOption(new Option('--claim-ttl-ms <number>', 'life of a claim').argParser(parseBlock).hideHelp())
    .addHelpText('after', BACKFILL_HELP)
    .action((options: BackfillArguments) =>
      withConfig(command =>
        runBackfill(command, {
          ...options,
          wallets: options.wallet,
          job: options.job ?? null,
          claimTtlMs: options.claimTtlMs ?? null,
        }),
      ),
    )
}

type BackfillArguments = {
  readonly chain: string
  readonly fromBlock: number
  readonly toBlock: number | 'finalized' | 'latest'
  readonly wallet: readonly Address[]
  readonly workers: number
  readonly job?: string
  readonly claimTtlMs?: number
}

function addWallets(program: Command, withConfig: (work: (command: CommandInput) => Promise<ExitCode>) => void): void {
  const wallets = program.command('wallets').description('the watch-list of wallets that belong to no user')
  wallets
    .command('add')
    .description('watch a wallet from the next block on; the daemon fills its past')
    .argument('<address>', 'the wallet', parseAddress)
    .option('--label <text>', 'what it is')
    .action((address: Address, options: { label?: string }) =>
      withConfig(command => runWallets(command, { kind: 'add', address, label: options.label ?? null })),
    )
  wallets
    .command('remove')
    .description('watch a wallet no more; its rows stay')
    .argument('<address>', 'the wallet', parseAddress)
    .action((address: Address) => withConfig(command => runWallets(command, { kind: 'remove', address })))
  wallets
    .command('list')
    .description('the watched wallets')
    .action(() => withConfig(command => runWallets(command, { kind: 'list' })))
}

// ── Values ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

const MAX_BLOCK = 2_147_483_647
const MAX_WORKERS = 64

function parseBlock(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value > MAX_BLOCK)
    throw new InvalidArgumentError(`It must be a number from 0 to ${MAX_BLOCK}.`)
  return value
}

function parseEnd(text: string): number | 'finalized' | 'latest' {
  return text === 'finalized' || text === 'latest' ? text : parseBlock(text)
}

function parseWorkers(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1 || value > MAX_WORKERS)
    throw new InvalidArgumentError(`It must be a number from 1 to ${MAX_WORKERS}.`)
  return value
}

function parseSeconds(text: string): number {
  const value = Number(text)
  if (!(value >= 1 && value <= 86_400))
    throw new InvalidArgumentError('It must be a number of seconds from 1 to 86400.')
  return value
}

function parseHash(text: string): Hash {
  if (!/^0x[0-9a-fA-F]{64}$/.test(text)) throw new InvalidArgumentError('It must be 0x and 64 hex digits.')
  return text.toLowerCase() as Hash
}

function parseAddress(text: string): Address {
  if (!/^0x[0-9a-fA-F]{40}$/.test(text)) throw new InvalidArgumentError('It must be 0x and 40 hex digits.')
  return toAddress(text)
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value]
}

function collectAddress(value: string, before: readonly Address[]): Address[] {
  return [...before, parseAddress(value)]
}
