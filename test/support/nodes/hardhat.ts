/**
 * Hardhat's node: another layer of JSON-RPC over an EVM that is related to Anvil's.
 *
 * Its `finalized` is its head: of what it takes back with `evm_revert`, everything was final.
 */
import { join } from 'node:path'
import { ask, startProcess, type TestNode, untilServing } from './node.ts'

const LISTENING = /server at (http:\/\/127\.0\.0\.1:\d+)/

/** @param directory where the nodes are installed */
export async function startHardhatNode(directory: string): Promise<TestNode> {
  const program = join(directory, 'node_modules/hardhat/dist/src/cli.js')
  const options = '--network node --hostname 127.0.0.1 --port 0'.split(' ')
  const child = startProcess([program, 'node', ...options], { cwd: directory, env: { CI: 'true' } })
  // It prints where it listens before anything else, and its accounts after it.
  let found: string | null = null
  const url = await untilServing(child, () => {
    found ??= LISTENING.exec(child.output())?.[1] ?? null
    return found
  })
  const rpc = (method: string, params: readonly unknown[] = []) => ask(url, method, params)
  return {
    url,
    socketUrl: url.replace('http', 'ws'),
    rpc,
    async mine(count = 1) {
      await (count === 1 ? rpc('evm_mine') : rpc('hardhat_mine', [`0x${count.toString(16)}`]))
    },
    finalise: async () => undefined,
    mark: async () => String(await rpc('evm_snapshot')),
    async returnTo(mark) {
      await rpc('evm_revert', [mark])
    },
    stop: () => child.end(),
  }
}
