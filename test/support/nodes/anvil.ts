/**
 * Anvil, as the one that the others are compared with.
 */
import { startAnvil } from '../../../src/demo/anvil.ts'
import { ACCOUNTS } from './accounts.ts'
import { ask, CHAIN_ID, type TestNode } from './node.ts'

/** Two epochs: so far behind the head is what is final. */
const FINALITY_BLOCKS = 8

export async function startAnvilNode(): Promise<TestNode> {
  const anvil = await startAnvil({ chainId: CHAIN_ID, slotsInAnEpoch: FINALITY_BLOCKS / 2 })
  for (const { address } of Object.values(ACCOUNTS))
    await anvil.rpc('anvil_setBalance', [address, '0x21e19e0c9bab2400000'])
  return {
    url: anvil.url,
    socketUrl: anvil.wsUrl,
    rpc: (method, params = []) => ask(anvil.url, method, params),
    mine: count => anvil.mine(count),
    finalise: () => anvil.mine(FINALITY_BLOCKS + 1),
    mark: async () => String(await anvil.rpc('evm_snapshot')),
    returnTo: async mark => {
      await anvil.rpc('evm_revert', [mark])
    },
    stop: () => anvil.stop(),
  }
}
