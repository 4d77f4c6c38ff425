/**
 * `doctor`: what is wrong, in one line each, and how to mend it.
 */

import { join } from 'node:path'
import { withApp } from '../app.ts'
import { displayUrl } from '../config/secret.ts'
import type { Finding } from '../core/finding.ts'
import { probeEndpoint } from '../source/probe.ts'
import { checkDatabase } from '../store/checkup.ts'
import type { CommandInput, ExitCode } from './command.ts'

const MARKS = { ok: 'ok  ', limited: 'note', bad: 'BAD ' } as const

export function runDoctor(input: CommandInput): Promise<ExitCode> {
  const { config, root, print } = input
  print(
    `${MARKS.ok} configuration: ${config.chains.length} chains (${config.chains.map(({ chain }) => chain.name).join(', ')})`,
  )
  return withApp<ExitCode>({ ...input, logTo: 2, migrate: false }, async ({ store, databaseUrl }) => {
    const findings = await checkDatabase(store.sql, join(root, 'sql'))
    tell(print, `database ${displayUrl(databaseUrl)}`, findings)
    const probes = config.chains.flatMap(({ chain, rpcUrls, usesPublicRpc }) =>
      rpcUrls.map(async url => {
        const name = displayUrl(url)
        const found = await probeEndpoint(url, name, { chainId: chain.id, blockTimeSeconds: chain.blockTimeSeconds })
        return { title: `${chain.name} ${name}${usesPublicRpc ? ' (public)' : ''}`, found }
      }),
    )
    for (const { title, found } of await Promise.all(probes)) {
      tell(print, title, found)
      findings.push(...found)
    }
    const bad = findings.filter(({ verdict }) => verdict === 'bad').length
    print(bad === 0 ? 'All is well.' : `${bad} ${bad === 1 ? 'thing needs' : 'things need'} mending.`)
    return bad === 0 ? 0 : 1
  })
}

function tell(print: (line: string) => void, title: string, findings: readonly Finding[]): void {
  for (const { verdict, text, hint } of findings) {
    print(`${MARKS[verdict]} ${title}: ${text}${hint === undefined || verdict === 'ok' ? '' : `. ${hint}`}`)
  }
}
