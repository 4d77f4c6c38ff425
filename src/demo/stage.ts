/**
 * The stage of the demo: a Postgres, two chains and the daemon, all of this moment and this machine.
 *
 * Always holds: everything is in one temporary directory and on free ports, so that two demos run side by side; the daemon is a
 * process of its own, in a group of its own, so that Ctrl-C reaches the demo alone, which ends everything in its order.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Config, loadConfig } from '../config/env.ts'
import { AppError } from '../errors.ts'
import { removeEmbedded, startEmbedded } from '../store/embedded.ts'
import { migrate } from '../store/migrate.ts'
import { type Anvil, startAnvil } from './anvil.ts'

const CHAINS = [
  { file: 'mainnet.json', id: 1, variable: 'MAINNET_RPC_URL' },
  { file: 'sepolia.json', id: 11_155_111, variable: 'SEPOLIA_RPC_URL' },
] as const
/** Local blocks come about every second. */
const BLOCK_TIME_SECONDS = 1
const STOP_DEADLINE_MS = 8_000

/** A line of the daemon's log. */
export type DaemonLine = { readonly msg?: string; readonly level?: string; readonly [name: string]: unknown }

export type Stage = {
  readonly config: Config
  readonly databaseUrl: string
  readonly anvils: ReadonlyMap<number, Anvil>
  /** Starts the daemon; resolves when it answers over HTTP. */
  startDaemon(onLine: (line: DaemonLine) => void): Promise<{ httpUrl: string; ended: Promise<number | null> }>
  stopDaemon(): Promise<void>
  /** Ends and removes everything. */
  close(): Promise<void>
}

/** @throws AppError EMBEDDED_UNAVAILABLE where development dependencies are missing */
export async function openStage(root: string, signal: AbortSignal): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), 'linkdao-demo-'))
  const releases: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true })]
  const close = async () => {
    for (const release of releases.splice(0).toReversed()) await release()
  }
  try {
    // A server that does not run as root has to get through here; names inside are not secret, files have their own modes.
    await chmod(directory, 0o711)
    const postgres = join(directory, 'postgres')
    const server = await startEmbedded({
      directory: postgres,
      log: () => undefined,
      settings: { fsync: 'off' },
      signal,
    })
    releases.push(async () => {
      await server.stop()
      await removeEmbedded(postgres)
    })
    await migrate({ url: server.url, directory: join(root, 'sql'), log: () => undefined, signal })
    const anvils = new Map<number, Anvil>()
    for (const { id } of CHAINS) {
      const anvil = await startAnvil({ chainId: id })
      anvils.set(id, anvil)
      releases.push(() => anvil.stop())
    }
    const env = await writeConfiguration(root, directory, server.url, anvils)
    const config = loadConfig({ env, cwd: directory, isTerminal: false })
    const daemon = createDaemonProcess(root, directory, env)
    releases.push(() => daemon.stop())
    return { config, databaseUrl: server.url, anvils, startDaemon: daemon.start, stopDaemon: daemon.stop, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The shipped chain files, but that they begin at the local chains' first block. */
async function writeConfiguration(
  root: string,
  directory: string,
  databaseUrl: string,
  anvils: ReadonlyMap<number, Anvil>,
) {
  const chains = join(directory, 'chains')
  await mkdir(chains)
  const env: Record<string, string> = {
    DATABASE_URL: databaseUrl,
    CHAINS_DIR: chains,
    HTTP_PORT: '0',
    LOG_FORMAT: 'json',
  }
  for (const { file, id, variable } of CHAINS) {
    const chain = JSON.parse(await readFile(join(root, 'chains', file), 'utf8')) as Record<string, unknown>
    const local = { ...chain, $schema: undefined, startBlock: 0, blockTimeSeconds: BLOCK_TIME_SECONDS }
    await writeFile(join(chains, file), JSON.stringify(local))
    env[variable] = anvils.get(id)?.url ?? ''
  }
  return env
}

function createDaemonProcess(root: string, cwd: string, env: Record<string, string>) {
  let child: ChildProcess | null = null
  let ended: Promise<number | null> = Promise.resolve(null)

  const start = async (onLine: (line: DaemonLine) => void) => {
    const started = spawn(process.execPath, [join(root, 'src', 'main.ts'), 'run'], {
      cwd,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child = started
    ended = new Promise(resolve => started.once('close', code => resolve(code)))
    let errors = ''
    started.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-2_000)
    })
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    readLines(started, line => {
      if (line.msg === 'Started') resolve(String(line['http']))
      onLine(line)
    })
    void ended.then(code =>
      reject(new AppError('INTERNAL', `The daemon ended with ${code} before it began.`, { facts: { output: errors } })),
    )
    return { httpUrl: await promise, ended }
  }

  const stop = async () => {
    if (child === null || child.exitCode !== null) return
    child.kill('SIGTERM')
    const deadline = AbortSignal.timeout(STOP_DEADLINE_MS)
    deadline.addEventListener('abort', () => child?.kill('SIGKILL'))
    await ended
  }
  return { start, stop }
}

function readLines(child: ChildProcess, onLine: (line: DaemonLine) => void): void {
  let rest = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      try {
        onLine(JSON.parse(line) as DaemonLine)
      } catch {
        onLine({ msg: line })
      }
    }
  })
}
