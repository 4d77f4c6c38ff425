/**
 * `run`: the daemon. Follows every enabled chain until SIGTERM or SIGINT.
 */

import { type App, withApp } from '../app.ts'
import { findChain } from '../config/env.ts'
import { displayUrl } from '../config/secret.ts'
import { createDaemon, type Daemon } from '../daemon.ts'
import type { OnboardingState } from '../jobs/onboarding.ts'
import { type Jobs, startJobs } from '../jobs/schedule.ts'
import { type HttpServer, type Readiness, startHttp } from '../ops/http.ts'
import { renderMetrics } from '../ops/metrics.ts'
import { sleep } from '../runtime/sleep.ts'
import { metricsOf, readinessOf, statusOf } from '../status.ts'
import type { CommandInput, ExitCode } from './command.ts'

/** Of the 10 s that a process has to end: what a step gets to commit. Closing the connections needs the rest. */
const STOP_DEADLINE_MS = 3_000
/** Probes commonly wait 5 s or less. */
const READINESS_DEADLINE_MS = 2_500

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
    let jobs: Jobs | null = null
    const http = await openHttp(app, daemon, () => jobs?.onboarding() ?? [])
    tellStart(app, http)
    // What is not known yet, or known to be incomplete, is not written on.
    const isHeld = () => daemon.states().some(({ phase, lacksRows }) => phase === 'starting' || lacksRows)
    const started = startJobs(contexts, input.signal, isHeld)
    jobs = started
    try {
      const ended = daemon.run(input.signal).then(async () => {
        await started.stop()
        return true as const
      })
      if (!(await endsInTime(ended, input.signal)))
        app.log.warn(
          'A step is still waiting for an answer and is given up: the database takes back what was not committed',
        )
    } finally {
      await http?.close()
    }
    app.log.info('Stopped')
    return 0
  })
}

/** Waits for the work; once the signal aborts, for a while only. @returns whether it ended */
async function endsInTime(work: Promise<true>, signal: AbortSignal): Promise<boolean> {
  const ended = new AbortController()
  const given = async () => {
    await untilAborted(AbortSignal.any([signal, ended.signal]))
    await sleep(STOP_DEADLINE_MS, ended.signal)
    return false
  }
  try {
    return await Promise.race([work, given()])
  } finally {
    ended.abort()
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** A probe is answered whatever the database does. */
async function readinessInTime(app: App, daemon: Daemon): Promise<Readiness> {
  const answered = new AbortController()
  const late = sleep(READINESS_DEADLINE_MS, answered.signal).then(() => ({
    ready: false,
    reasons: [`Postgres did not answer within ${READINESS_DEADLINE_MS / 1000} s`],
  }))
  try {
    return await Promise.race([readinessOf(app, daemon.states()), late])
  } finally {
    answered.abort()
  }
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

async function openHttp(
  app: App,
  daemon: Daemon,
  onboarding: () => readonly OnboardingState[],
): Promise<HttpServer | null> {
  const { host, port, explicit } = app.config.http
  if (port === 'off') return null
  return startHttp(
    {
      readiness: () => readinessInTime(app, daemon),
      status: () => statusOf(app, { states: daemon.states() }),
      metrics: () => renderMetrics(metricsOf(app, daemon.states(), onboarding())),
    },
    {
      host,
      port,
      explicit,
      onFallback: takenPort => app.log.warn({ port: takenPort }, 'The default HTTP port is taken; using a free one'),
    },
  )
}
