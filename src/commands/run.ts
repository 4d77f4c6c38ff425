/**
 * `run`: the daemon. Follows every enabled chain until SIGTERM or SIGINT.
 */

import { type App, withApp } from '../app.ts'
import { findChain } from '../config/env.ts'
import { displayUrl } from '../config/secret.ts'
import { createDaemon, type Daemon } from '../daemon.ts'
import { startJobs } from '../jobs/schedule.ts'
import { type HttpServer, startHttp } from '../ops/http.ts'
import { readinessOf, statusOf } from '../status.ts'
import type { CommandInput, ExitCode } from './command.ts'

export type RunOptions = {
  readonly migrate: boolean
  /** Ids or names of chains whose halted reorg is accepted. */
  readonly acceptReorg: readonly string[]
}

export function run(input: CommandInput, options: RunOptions): Promise<ExitCode> {
  const acceptReorgs = new Set(options.acceptReorg.map(name => findChain(input.config, name).chain.id))
  return withApp<ExitCode>({ ...input, logTo: 1, migrate: options.migrate }, async app => {
    const contexts = app.config.chains.map(({ chain }) => app.context(chain.id))
    const daemon = createDaemon({ contexts, acceptReorgs })
    const http = await openHttp(app, daemon)
    tellStart(app, http)
    const jobs = startJobs(contexts, input.signal)
    try {
      await daemon.run(input.signal)
    } finally {
      await jobs.stop()
      await http?.close()
    }
    app.log.info('Stopped')
    return 0
  })
}

function tellStart({ config, log, databaseUrl }: App, http: HttpServer | null): void {
  log.info(
    {
      chains: config.chains.map(({ chain }) => chain.name).join(', '),
      database: displayUrl(databaseUrl),
      ...(http === null ? {} : { http: http.url }),
    },
    'Started',
  )
  for (const { chain, usesPublicRpc } of config.chains) {
    if (usesPublicRpc)
      log.warn({ chain: chain.name }, 'No RPC URL is set: public endpoints are used, which are slow and limited')
  }
}

async function openHttp(app: App, daemon: Daemon): Promise<HttpServer | null> {
  const { host, port, explicit } = app.config.http
  if (port === 'off') return null
  return startHttp(
    { readiness: () => readinessOf(app, daemon.states()), status: () => statusOf(app, { states: daemon.states() }) },
    {
      host,
      port,
      explicit,
      onFallback: takenPort => app.log.warn({ port: takenPort }, 'The default HTTP port is taken; using a free one'),
    },
  )
}
