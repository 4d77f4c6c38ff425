/**
 * `status --tx`: the story of one transaction, in plain words.
 */

import type { Chain } from '../core/chain.ts'
import type { Story } from '../store/story.ts'

type Words = (transition: Story['transitions'][number], name: (chainId: number | null) => string) => string

const WORDS: Readonly<Record<string, Words>> = {
  included: ({ chainId, blockNumber }, name) => `it was seen in block ${blockNumber} of ${name(chainId)}`,
  confirmed: ({ blockNumber }) => `block ${blockNumber} became deep enough, and it had succeeded: confirmed`,
  reverted: ({ blockNumber }) => `block ${blockNumber} became deep enough, and it had been reverted: failed`,
  reorged: ({ chainId, blockNumber }, name) =>
    blockNumber === null
      ? `a reorg of ${name(chainId)} took away what had replaced it: pending again`
      : `a reorg of ${name(chainId)} took block ${blockNumber} away: pending again`,
  replaced: ({ replacingHash, blockNumber }) =>
    `its nonce was used by ${replacingHash ?? 'something else'} in block ${blockNumber}, which is deep enough: failed`,
  dropped: ({ endpoint }) => `no endpoint knew it for too long (${endpoint ?? ''}): failed`,
  found: ({ chainId, blockNumber }, name) =>
    `it had been given up, and turned up in ${blockNumber === null ? 'the mempool' : `block ${blockNumber}`} of ${name(chainId)}: pending`,
  unseen: () => 'the application called it decided, and no endpoint of any chain knows it: pending',
}

/** The story as lines of text. */
export function describeStory(story: Story, chains: ReadonlyMap<number, Chain>): string[] {
  const name = (chainId: number | null) =>
    chainId === null ? 'no chain' : (chains.get(chainId)?.name ?? `chain ${chainId}`)
  const { rows, inclusions, activities, transitions, sought } = story
  if (rows.length + inclusions.length + transitions.length === 0) return [`${story.hash} is not known here.`]
  return [
    story.hash,
    ...rows.map(
      row =>
        `  ${row.status}: ${row.eventType}${row.amount === null ? '' : ` of ${row.amount} ${row.token ?? ''}`} on ${row.chain}, user ${row.userId ?? 'unknown'}, row of the ${row.writtenBy}`,
    ),
    ...inclusions.map(
      each =>
        `  in block ${each.blockNumber} of ${name(each.chainId)} (${each.blockHash}), ${each.depth} deep, ${each.succeeded === null ? 'outcome unknown' : each.succeeded ? 'succeeded' : 'reverted'}`,
    ),
    ...activities.map(
      each => `  ${each.type} of ${each.wallet}${each.amount === null ? '' : `: ${each.amount} ${each.token ?? ''}`}`,
    ),
    ...(sought === null ? [] : [describeSought(sought)]),
    ...transitions.map(each => `  ${each.at}  ${WORDS[each.reason]?.(each, name) ?? each.reason}`),
  ]
}

function describeSought({ sender, nonce, malformed }: NonNullable<Story['sought']>): string {
  if (malformed) return '  its hash is none, so it is never asked for'
  return sender === null ? '  no chain has shown it yet' : `  no block has it; sent by ${sender} with nonce ${nonce}`
}
