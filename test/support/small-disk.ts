/**
 * A disk of its own, small enough to be filled: a tmpfs, mounted for the test.
 *
 * Always holds: nothing else lies on it, so filling it harms nobody; it is unmounted by `remove`, whatever is still on it. Only root
 * may mount, and not in every container: then there is none, and the reason is told.
 */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from '../../src/store/embedded/command.ts'

export type SmallDisk = {
  readonly directory: string
  /** Takes all the room that is left. */
  fill(): void
  /** Gives it back. */
  free(): void
  remove(): Promise<void>
}

const CHUNKS = [1_048_576, 4_096, 512, 1]

/** @returns the disk, or why there can be none */
export async function openSmallDisk(megabytes: number): Promise<SmallDisk | { readonly reason: string }> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return { reason: 'only root on Linux can mount a small disk' }
  const directory = await mkdtemp(join(tmpdir(), 'linkdao-disk-'))
  await chmod(directory, 0o711)
  const options = `size=${megabytes}m,mode=0711`
  const { exitCode, output } = await runCommand('mount', ['-t', 'tmpfs', '-o', options, 'linkdao-disk', directory])
  if (exitCode !== 0) {
    await rm(directory, { recursive: true, force: true })
    return { reason: `a small disk can not be mounted here: ${output}` }
  }
  const filler = join(directory, 'filler')
  return {
    directory,
    fill: () => fill(filler),
    free: () => rmSync(filler, { force: true }),
    async remove() {
      // Also while something still holds it open.
      await runCommand('umount', ['--lazy', directory])
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function fill(path: string): void {
  const file = openSync(path, 'a')
  try {
    for (const size of CHUNKS) while (isWritten(file, size));
  } finally {
    closeSync(file)
  }
}

function isWritten(file: number, size: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(size)) === size
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false
    throw error
  }
}
