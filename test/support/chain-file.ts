/**
 * The project's own chain files, compiled, as the tests use them.
 */
import { fileURLToPath } from 'node:url'
import { readChainDirectory } from '../../src/config/chain-directory.ts'
import type { Problem } from '../../src/config/problem.ts'
import type { Chain } from '../../src/core/chain.ts'

const DIRECTORY = fileURLToPath(new URL('../../chains', import.meta.url))

export function readChain(name: 'mainnet' | 'sepolia'): Chain {
  const problems: Problem[] = []
  const entry = readChainDirectory(DIRECTORY, 'chains', problems).find(one => one.name === name)
  if (entry?.chain === null || entry?.chain === undefined)
    throw new Error(`chains/${name}.json: ${JSON.stringify(problems)}`)
  return entry.chain
}
