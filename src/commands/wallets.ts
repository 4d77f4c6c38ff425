/**
 * `wallets`: the watch-list of wallets that belong to no user.
 */

import { withApp } from '../app.ts'
import type { Address } from '../core/types.ts'
import type { CommandInput, ExitCode } from './command.ts'

export type WalletsAction =
  | { readonly kind: 'add'; readonly address: Address; readonly label: string | null }
  | { readonly kind: 'remove'; readonly address: Address }
  | { readonly kind: 'list' }

export function runWallets(input: CommandInput, action: WalletsAction): Promise<ExitCode> {
  const { print } = input
  return withApp<ExitCode>({ ...input, logTo: 2, migrate: false }, async ({ store }) => {
    if (action.kind === 'add') {
      const isNew = await store.addToWatchlist(action.address, action.label)
      print(
        isNew
          ? `${action.address} is watched from the next block on; the daemon fills its past (status --wallet ${action.address}).`
          : `${action.address} was watched already.`,
      )
      return 0
    }
    if (action.kind === 'remove') {
      const wasThere = await store.removeFromWatchlist(action.address)
      print(
        wasThere
          ? `${action.address} is watched no more; its rows stay.`
          : `${action.address} was not on the watch-list.`,
      )
      return 0
    }
    const wallets = await store.watchlist()
    for (const { address, label, createdAt } of wallets) {
      print([address, new Date(createdAt * 1000).toISOString().slice(0, 10), label ?? ''].join('  ').trimEnd())
    }
    if (wallets.length === 0) print('The watch-list is empty.')
    return 0
  })
}
