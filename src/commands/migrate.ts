/**
 * `migrate`: applies `sql/`, or reverts what this project created.
 */

import { join } from 'node:path'
import { collectSecrets, createScrubber, displayUrl } from '../config/secret.ts'
import { createLogger } from '../ops/log.ts'
import { startEmbedded } from '../store/embedded.ts'
import { migrate, migrateDown } from '../store/migrate.ts'
import type { CommandInput, ExitCode } from './command.ts'

export type MigrateCommandOptions = {
  readonly down: boolean
  readonly dropData: boolean
  /** The last file to apply, or the last that stays. */
  readonly to: number | null
}

export async function runMigrate(
  { config, root, signal, print }: CommandInput,
  options: MigrateCommandOptions,
): Promise<ExitCode> {
  const log = createLogger({ ...config.log, destination: 2, scrub: createScrubber(collectSecrets(config)) })
  const tell = (message: string, facts?: Record<string, unknown>) => log.info(facts ?? {}, message)
  const embedded =
    config.database.url === null
      ? await startEmbedded({ directory: config.embeddedDirectory, log: tell, signal })
      : null
  const url = config.database.url ?? embedded?.url ?? ''
  try {
    const common = {
      url,
      directory: join(root, 'sql'),
      log: tell,
      signal,
      ...(options.to === null ? {} : { to: options.to }),
    }
    if (options.down) {
      const { reverted } = await migrateDown({ ...common, dropData: options.dropData })
      print(reverted.length === 0 ? 'Nothing to revert.' : `Reverted ${reverted.length} files: ${reverted.join(', ')}`)
    } else {
      const { applied } = await migrate(common)
      print(
        applied.length === 0
          ? `${displayUrl(url)} is up to date.`
          : `Applied ${applied.length} files: ${applied.join(', ')}`,
      )
    }
    return 0
  } finally {
    await embedded?.stop()
  }
}
