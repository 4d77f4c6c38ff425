import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { afterAll, afterEach, describe, expect, inject, test } from 'vitest'
import { findBinaries, importBinaries } from '../../src/store/embedded/binaries.ts'
import { findServer, isAlive } from '../../src/store/embedded/postmaster.ts'
import { type EmbeddedOptions, type EmbeddedServer, removeEmbedded, startEmbedded } from '../../src/store/embedded.ts'

const FAST = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  shared_buffers: '16MB',
  max_connections: '20',
}
const isRoot = process.getuid?.() === 0
const MODULE = fileURLToPath(new URL('../../src/store/embedded.ts', import.meta.url))
const override = process.env['TEST_POSTGRES_BINARIES']
const binaries = override ? await importBinaries(join(override, 'dist', 'index.js')) : await findBinaries()

/** What a test has started and made, released last-in first-out even where it fails. */
const releases: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const release of releases.splice(0).toReversed()) await release()
})

async function makeParent(mode = 0o711): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'linkdao-embedded-'))
  releases.push(() => rm(parent, { recursive: true, force: true }))
  await chmod(parent, mode)
  return parent
}

async function start(directory: string, extra: Partial<EmbeddedOptions> = {}): Promise<EmbeddedServer> {
  const server = await startEmbedded({ directory, log: () => undefined, settings: FAST, binaries, ...extra })
  releases.push(() => server.stop())
  return server
}

/** The directory of a stopped server that holds nothing: for tests that are not about how it is made, which takes a second. */
let prepared: Promise<string> | undefined
function prepare(): Promise<string> {
  prepared ??= (async () => {
    const parent = await mkdtemp(join(tmpdir(), 'linkdao-embedded-'))
    await chmod(parent, 0o711)
    const directory = join(parent, 'postgres')
    await (await startEmbedded({ directory, log: () => undefined, settings: FAST, binaries })).stop()
    return directory
  })()
  return prepared
}
afterAll(async () => {
  if (prepared !== undefined) await rm(dirname(await prepared), { recursive: true, force: true })
})

async function query<Row extends object>(url: string, text: string): Promise<Row | undefined> {
  const sql = postgres(url, { max: 1 })
  try {
    const rows = await sql.unsafe<Row[]>(text)
    return rows[0]
  } finally {
    await sql.end()
  }
}

async function readPid(directory: string): Promise<number> {
  const found = await findServer(directory)
  if (!('port' in found)) throw new Error(`no server in ${directory}: ${found.kind}`)
  return found.pid
}

/** Another process that starts the server, says so in one line, and stays. */
async function startInChild(directory: string): Promise<{ child: ChildProcess; adopted: boolean; port: number }> {
  const program = `
    const { startEmbedded } = await import(${JSON.stringify(MODULE)})
    const options = { directory: process.argv[1], log: () => undefined, ...JSON.parse(process.argv[2]) }
    const server = await startEmbedded(options)
    console.log(JSON.stringify({ adopted: server.adopted, port: server.port }))
    process.stdin.on('end', () => server.stop()).resume()`
  const options = JSON.stringify({ settings: FAST, binaries })
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, directory, options], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  releases.push(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  })
  const lines = createInterface({ input: child.stdout })
  const [line] = (await once(lines, 'line')) as [string]
  return { child, ...(JSON.parse(line) as { adopted: boolean; port: number }) }
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
}

describe('a local server', () => {
  test('speaks UTF8 in the C locale and UTC, has the database linkdao, and leaves no process when it is stopped', async () => {
    const directory = join(await makeParent(), 'postgres')
    const server = await start(directory)
    const pid = await readPid(directory)
    expect(server.adopted).toBe(false)
    expect(new URL(server.url).hostname).toBe('127.0.0.1')
    const facts = await query(
      server.url,
      `select current_setting('TimeZone') as zone, current_setting('server_encoding') as encoding, datcollate as collation,
         current_database() as database, current_setting('listen_addresses') as addresses,
         current_setting('unix_socket_directories') as sockets
       from pg_database where datname = current_database()`,
    )
    expect(facts).toEqual({
      zone: 'UTC',
      encoding: 'UTF8',
      collation: 'C',
      database: 'linkdao',
      addresses: '127.0.0.1',
      sockets: '',
    })
    await server.stop()
    await server.stop()
    expect(await isAlive(pid)).toBe(false)
    expect(await findServer(directory)).toEqual({ kind: 'none' })
  })

  test('keeps its password in the data directory for its owner alone, asks for it, and never tells the log', async () => {
    const directory = await prepare()
    const told: string[] = []
    const server = await start(directory, { log: (...args) => told.push(JSON.stringify(args)) })
    const file = join(directory, 'linkdao.password')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    const password = await readFile(file, 'utf8')
    expect(new URL(server.url).password).toBe(password)
    expect(told.length).toBeGreaterThan(0)
    expect(told.join('\n')).not.toContain(password)
    expect(await readFile(join(directory, 'server.log'), 'utf8')).not.toContain(password)
    const wrong = server.url.replace(password, 'wrong')
    await expect(query(wrong, 'select 1')).rejects.toMatchObject({ code: '28P01' })
  })

  test('keeps its data from one start to the next', async () => {
    const directory = await prepare()
    const first = await start(directory)
    await query(first.url, 'create table kept (id int)')
    await first.stop()
    const second = await start(directory)
    expect(second.adopted).toBe(false)
    expect(await query(second.url, 'select count(*)::int as n from kept')).toEqual({ n: 0 })
  })

  test('runs in a process group of its own', async () => {
    const directory = await prepare()
    await start(directory)
    const pid = await readPid(directory)
    if (process.platform !== 'linux') return
    const line = await readFile(`/proc/${pid}/stat`, 'utf8')
    // After the name: state, parent, process group.
    expect(Number(line.slice(line.lastIndexOf(')') + 2).split(' ')[2])).toBe(pid)
  })

  test('is not started once the signal has aborted', async () => {
    const directory = join(await makeParent(), 'postgres')
    await expect(start(directory, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' })
    expect(await findServer(directory)).toEqual({ kind: 'none' })
  })
})

describe('a second start on the same directory', () => {
  test('uses the server that runs, and whoever leaves last stops it', async () => {
    const directory = await prepare()
    const first = await start(directory)
    const second = await start(directory)
    expect(second).toMatchObject({ adopted: true, port: first.port, url: first.url })
    const pid = await readPid(directory)
    await first.stop()
    expect(await query(second.url, 'select 1 as one')).toEqual({ one: 1 })
    await second.stop()
    expect(await isAlive(pid)).toBe(false)
  })

  test('gives one server to four processes that start at the same time on a directory that is not there', async () => {
    const directory = join(await makeParent(), 'postgres')
    const started = await Promise.all([1, 2, 3, 4].map(() => startInChild(directory)))
    expect(new Set(started.map(({ port }) => port)).size).toBe(1)
    expect(started.filter(({ adopted }) => !adopted)).toHaveLength(1)
    const pid = await readPid(directory)
    await Promise.all(
      started.map(async ({ child }) => {
        const ended = once(child, 'exit')
        child.stdin?.end()
        expect(await ended).toEqual([0, null])
      }),
    )
    expect(await isAlive(pid)).toBe(false)
    expect(await readdir(dirname(directory))).toEqual(['postgres'])
  })

  test('uses the server that a killed process left, and stops it in the end', async () => {
    const directory = await prepare()
    const { child, port } = await startInChild(directory)
    await kill(child)
    const server = await start(directory)
    expect(server).toMatchObject({ adopted: true, port })
    const pid = await readPid(directory)
    await server.stop()
    expect(await isAlive(pid)).toBe(false)
  })

  test('recovers what a killed server left', async () => {
    const directory = await prepare()
    // An answered commit counts only where the server waits for it.
    const first = await start(directory, { settings: { ...FAST, synchronous_commit: 'on' } })
    await query(first.url, 'create table recovered (id int)')
    const pid = await readPid(directory)
    process.kill(pid, 'SIGKILL')
    const second = await start(directory)
    expect(second.adopted).toBe(false)
    expect(await readPid(directory)).not.toBe(pid)
    expect(await query(second.url, 'select count(*)::int as n from recovered')).toEqual({ n: 0 })
  })
})

async function writePidFile(directory: string, pid: number, port: number): Promise<void> {
  const lines = [pid, directory, 1_700_000_000, port, '', '127.0.0.1', '', 'ready   ', '']
  const file = join(directory, 'postmaster.pid')
  await writeFile(file, lines.join('\n'))
}

describe('postmaster.pid is not believed', () => {
  test('when its process is gone', async () => {
    const directory = await prepare()
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'exit')
    await writePidFile(directory, child.pid ?? 0, 1)
    expect((await start(directory)).adopted).toBe(false)
  })

  test('when its process is another program', async () => {
    const directory = await prepare()
    // As the server's own user: only then does Postgres itself take it for a server and refuse to start.
    const { uid, gid } = await stat(directory)
    const child = spawn('/bin/sleep', ['60'], isRoot ? { uid, gid } : {})
    releases.push(() => kill(child))
    await once(child, 'spawn')
    await writePidFile(directory, child.pid ?? 0, 1)
    const server = await start(directory)
    expect(server.adopted).toBe(false)
    expect(await isAlive(child.pid ?? 0)).toBe(true)
  })

  test('when its process is the server of another directory', async () => {
    const directory = await prepare()
    const other = join(await makeParent(), 'postgres')
    const { port } = await start(other)
    await writePidFile(directory, await readPid(other), port)
    const server = await start(directory)
    expect(server.adopted).toBe(false)
    expect(server.port).not.toBe(port)
  })

  test('when it is empty', async () => {
    const directory = await prepare()
    await writeFile(join(directory, 'postmaster.pid'), '')
    expect((await start(directory)).adopted).toBe(false)
  })
})

describe('the data directory', () => {
  test('is made again when the one who made it was killed on the way', async () => {
    const directory = join(await makeParent(), 'postgres')
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'exit')
    const draft = `${directory}.draft-${child.pid}-0123`
    await mkdir(join(draft, 'data', 'base'), { recursive: true })
    await start(directory)
    expect(await readdir(dirname(directory))).toEqual(['postgres'])
  })

  test('is moved aside when it holds a half-finished initdb', async () => {
    const directory = join(await makeParent(), 'postgres')
    await mkdir(join(directory, 'base'), { recursive: true })
    await writeFile(join(directory, 'PG_VERSION'), '18\n')
    await start(directory)
    const names = await readdir(dirname(directory))
    expect(names.map(name => name.replace(/-[0-9a-f]{12}$/, '')).sort()).toEqual(['postgres', 'postgres.incomplete'])
  })

  test('is left alone when it holds something else', async () => {
    const directory = join(await makeParent(), 'postgres')
    await mkdir(directory)
    await writeFile(join(directory, 'thesis.txt'), 'ten years')
    await expect(start(directory)).rejects.toMatchObject({ code: 'EMBEDDED_UNAVAILABLE' })
    expect(await readdir(directory)).toEqual(['thesis.txt'])
  })

  test('is refused when another major version wrote it', async () => {
    const directory = await prepare()
    const file = join(directory, 'PG_VERSION')
    const version = await readFile(file, 'utf8')
    releases.push(() => writeFile(file, version))
    await writeFile(file, '9\n')
    await expect(start(directory)).rejects.toMatchObject({ code: 'EMBEDDED_UNAVAILABLE', facts: { dataMajor: '9' } })
  })

  test('is not removed under a running server', async () => {
    const directory = join(await makeParent(), 'postgres')
    const server = await start(directory)
    await expect(removeEmbedded(directory)).rejects.toMatchObject({ code: 'EMBEDDED_UNAVAILABLE' })
    await server.stop()
    await removeEmbedded(directory)
    expect(await readdir(dirname(directory))).toEqual([])
  })
})

/** The programs as a tarball has them: without links, in a package of their own. Hard links, so that nothing is copied. */
async function packBinaries(home: string) {
  const native = dirname(dirname(binaries.postgres))
  const copy = join(home, 'package')
  await cp(join(dirname(native), 'package.json'), join(copy, 'package.json'))
  const listed = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as { target: string }[]
  const links = new Set(listed.map(({ target }) => basename(target)))
  const filter = (path: string) => !path.endsWith('.a') && !links.has(basename(path))
  await cp(native, join(copy, 'native'), { recursive: true, filter })
  const bin = join(copy, 'native', 'bin')
  return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres'), pg_ctl: join(bin, 'pg_ctl') }
}

test('the links between libraries are made where the install left them out', async () => {
  const parent = await makeParent()
  const copied = await packBinaries(parent)
  const server = await start(join(parent, 'postgres'), { binaries: copied })
  const links = await readdir(join(dirname(dirname(copied.postgres)), 'lib'), { withFileTypes: true })
  expect(links.filter(entry => entry.isSymbolicLink()).length).toBeGreaterThan(0)
  expect(await query(server.url, 'select 1 as one')).toEqual({ one: 1 })
})

describe.skipIf(!isRoot)('as root, in a clone that other users cannot enter', () => {
  test('data and programs go to the shelter, and the directory becomes a link', async () => {
    const clone = await makeParent(0o700)
    const shelter = join(await makeParent(0o755), 'shelter')
    const directory = join(clone, '.data', 'postgres')
    const packed = await packBinaries(clone)
    const server = await start(directory, { binaries: packed, shelter })
    expect(await query(server.url, 'select 1 as one')).toEqual({ one: 1 })
    const home = dirname(await readlink(directory))
    expect(dirname(home)).toBe(shelter)
    expect(new Set((await readdir(shelter)).map(name => name.split('-')[0]))).toEqual(new Set(['data', 'native']))
    expect((await start(directory, { binaries: packed, shelter })).adopted).toBe(true)
  })

  test('removing the data removes the link and what it points to, and the next start has a new home', async () => {
    const clone = await makeParent(0o700)
    const shelter = join(await makeParent(0o755), 'shelter')
    const directory = join(clone, 'postgres')
    await (await start(directory, { shelter })).stop()
    const before = await readlink(directory)
    await removeEmbedded(directory)
    expect(await readdir(shelter)).toEqual([])
    await expect(lstat(directory)).rejects.toMatchObject({ code: 'ENOENT' })
    await (await start(directory, { shelter })).stop()
    expect(await readlink(directory)).not.toBe(before)
  })
})

test.runIf(!isRoot)(
  'as root, in a clone that other users cannot enter (skipped: the tests do not run as root)',
  () => {},
)

test('the server of the test run is another one than any of these', () => {
  expect(inject('postgresUrl')).toMatch(/^postgres:\/\/postgres:[0-9a-f]+@127\.0\.0\.1:\d+\/linkdao$/)
})
