/**
 * Blocks of Mainnet that broke somebody's indexer, each with what is special in it said by name.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Hex } from 'viem'
import { keccak256, recoverAddress, toRlp } from 'viem/utils'
import { expect, it, onTestFinished } from 'vitest'
import type { Chain } from '../../src/core/chain.ts'
import { authoritiesOf, decodeDelegations } from '../../src/core/decode/delegation.ts'
import { parseBlock } from '../../src/source/parse.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { addressesOf, outcomeOf, TOPIC } from '../support/expected-rows.ts'
import { needFixtures, readMainnetBlock } from '../support/fixtures.ts'
import { createBlockCache, eighteenDecimals, indexMainnetBlock } from '../support/mainnet.ts'
import {
  enlist,
  followToHead,
  indexRange,
  readActivities,
  readMainnet,
  readRowVersions,
  watch,
  withContext,
} from '../support/program.ts'
import { prepareChain, type ReplayBlock, type RpcAuthorization } from '../support/replay-chain.ts'
import { type ReplayNode, startReplayNode } from '../support/replay-node.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CRYPTO_KITTIES = '0x06012c8cf97bead5deae237070f9587f8e7a266d'
/** The highest of them: with it as head, every other one is final and deep. */
const HEAD = 22_431_086

const indexed = createBlockCache()

it("block 4662649: CryptoKitties' Transfer, which indexes nothing, moves one piece and never a fungible amount", async context => {
  needFixtures(context)
  const { receipts, rows } = await indexed(4_662_649)
  const log = receipts.flatMap(({ logs }) => logs).find(({ address }) => address === CRYPTO_KITTIES)
  expect(log?.topics).toEqual([TOPIC.transfer])
  const [from, to, id] = log?.data.slice(2).match(/.{64}/g) ?? []
  const cats = rows.filter(({ tokenAddress, type }) => tokenAddress === CRYPTO_KITTIES && type !== 'APPROVAL')
  const common = { token: 'CK', amount: `1.${'0'.repeat(18)}`, rawAmount: '1', logIndex: Number(log?.logIndex) }
  const tokenId = BigInt(`0x${id}`).toString()
  expect(cats.toSorted((a, b) => a.type.localeCompare(b.type))).toMatchObject([
    {
      ...common,
      type: 'TRANSFER_IN',
      wallet: addressOfWord(to),
      metadata: { counterparty: addressOfWord(from), token_id: tokenId },
    },
    {
      ...common,
      type: 'TRANSFER_OUT',
      wallet: addressOfWord(from),
      metadata: { counterparty: addressOfWord(to), token_id: tokenId },
    },
  ])
})

function addressOfWord(word: string | undefined): string {
  return `0x${word?.slice(24)}`
}

it('block 11098450: each id of an ERC-1155 batch is a row of its own for each side, numbered by its place', async context => {
  needFixtures(context)
  const { receipts, rows } = await indexed(11_098_450)
  const log = receipts.flatMap(({ logs }) => logs).find(({ topics }) => topics[0] === TOPIC.transferBatch)
  const batch = rows.filter(({ logIndex }) => logIndex === Number(log?.logIndex))
  const ofType = (type: string) =>
    batch
      .filter(row => row.type === type)
      .map(({ rawAmount, metadata }) => [metadata['batch_index'], metadata['token_id'], rawAmount])
      .toSorted(([a], [b]) => Number(a) - Number(b))
  const minted = log?.topics[2] === `0x${'0'.repeat(64)}`
  const places = [
    [0, '6', '1'],
    [1, '12', '1'],
    [2, '14', '1'],
    [3, '18', '1'],
    [4, '20', '1'],
  ]
  expect(ofType(minted ? 'MINT' : 'TRANSFER_IN')).toEqual(places)
  expect(ofType('TRANSFER_OUT')).toEqual(minted ? [] : places)
  expect(batch).toHaveLength(minted ? 5 : 10)
})

it('block 15537394: 10,041 logs are indexed in one piece', async context => {
  needFixtures(context)
  const { receipts, rows, addresses, tookMs, requests } = await indexed(15_537_394)
  expect(receipts.flatMap(({ logs }) => logs)).toHaveLength(10_041)
  expect(rows.length).toBeGreaterThan(10_000)
  expect(requests['eth_getBlockReceipts']).toBe(1)
  process.stdout.write(
    `block 15537394: ${rows.length} rows of ${addresses.length} wallets in ${Math.round(tookMs)} ms, ${requests['eth_call'] ?? 0} calls for tokens\n`,
  )
})

it.for([22_431_083, 22_431_084])(
  'block %i: blob transactions are transactions like any other',
  async (number, context) => {
    needFixtures(context)
    const { block, rows } = await indexed(number)
    const blobs = block.transactions.filter(({ type }) => type === '0x3')
    expect(blobs.length).toBeGreaterThan(0)
    for (const { hash, from } of blobs) {
      const own = rows.filter(({ transactionHash, wallet }) => transactionHash === hash && wallet === from)
      expect(own.map(({ type }) => type)).toContain('CONTRACT_INTERACTION')
    }
  },
)

it("block 22431086: an EIP-7702 authorization's signer is recovered, and it counts by its nonce only", async context => {
  needFixtures(context)
  // Nobody has kept this block's receipts, and a delegation does not depend on them.
  const block = { ...(await parseBlock(readMainnetBlock(HEAD).block)), receipts: [] }
  const raw = readMainnetBlock(HEAD).block.transactions.find(({ type }) => type === '0x4')
  const [authorization] = raw?.authorizationList ?? []
  if (raw === undefined || authorization === undefined) throw new RangeError('the block has no authorization')
  const signer = await recoverByHand(authorization)
  expect(authoritiesOf(block, 1, () => true)).toEqual([signer])
  const delegations = (nonce: number | null) => decodeDelegations(block, 1, new Map([[signer, nonce]]))
  const expected = {
    type: 'DELEGATION',
    wallet: signer,
    transactionHash: raw.hash,
    logIndex: null,
    metadata: { delegate: authorization.address, authorization_index: 0 },
  }
  expect(delegations(Number(authorization.nonce))).toMatchObject([expected])
  expect(delegations(Number(authorization.nonce))[0]?.metadata).not.toHaveProperty('unproven')
  expect(delegations(null)).toMatchObject([{ ...expected, metadata: { ...expected.metadata, unproven: true } }])
  expect(delegations(Number(authorization.nonce) + 1)).toEqual([])
  expect(authoritiesOf(block, 137, () => true)).toEqual([])
})

/** keccak256(0x05 ‖ rlp([chain id, address, nonce])), as EIP-7702 says it. */
async function recoverByHand({ chainId, address, nonce, yParity, r, s }: RpcAuthorization): Promise<Hex> {
  const message: Hex = `0x05${toRlp([rlpInteger(chainId), address as Hex, rlpInteger(nonce)]).slice(2)}`
  const signature = { r: r as Hex, s: s as Hex, yParity: Number(yParity) }
  return (await recoverAddress({ hash: keccak256(message), signature })).toLowerCase() as Hex
}

/** Without leading zeros, zero as nothing. */
function rlpInteger(quantity: string): Hex {
  const digits = BigInt(quantity).toString(16)
  return quantity === '0x0' ? '0x' : `0x${digits.padStart(digits.length + (digits.length % 2), '0')}`
}

it.for([468_179, 1_000_000, 1_755_635, 2_000_000, 4_000_000])(
  'block %i, whose receipts have no status: what a log or gas that was left proves is confirmed, the rest stays pending and has no rows',
  async (number, context) => {
    needFixtures(context)
    const own = readMainnetBlock(number)
    const receipts = own.receipts ?? []
    const outcomes = new Map(
      own.block.transactions.map((transaction, index) => {
        const receipt = receipts[index]
        return [transaction.hash, receipt === undefined ? 'unknown' : outcomeOf(transaction, receipt)] as const
      }),
    )
    const { database, node, chain } = await prepareWorld([own, readMainnetBlock(HEAD)])
    await enlist(database, addressesOf(own.block, receipts))
    // The application has asked about every transaction, so also those without rows of ours are told of.
    await database.sql`
      insert into user_transactions (tx_hash, event_type) select unnest(${[...outcomes.keys()]}::text[]), 'PAYMENT'`
    await withContext({ database, url: node.url, chain }, async program => {
      await program.store.enrollApplicationRows('all')
      await indexRange(program, number, number)
    })
    const stored = await database.sql<{ hash: string; status: string; block: number }[]>`
      select tx_hash as hash, status, block_number as block from user_transactions`
    expect(Object.fromEntries(stored.map(({ hash, status }) => [hash, status]))).toEqual(
      Object.fromEntries(
        [...outcomes].map(([hash, outcome]) => [hash, outcome === 'succeeded' ? 'confirmed' : 'pending']),
      ),
    )
    expect(new Set(stored.map(row => row.block))).toEqual(new Set([number]))
    const withRows = new Set((await readActivities(database)).map(({ transactionHash }) => transactionHash))
    expect(withRows).toEqual(
      new Set([...outcomes].filter(([, outcome]) => outcome === 'succeeded').map(([hash]) => hash)),
    )
  },
)

it('blocks 22431083 and 22431084, across a fork: followed as they come, they leave the rows that backfill leaves', async context => {
  needFixtures(context)
  const blocks = [readMainnetBlock(22_431_083), readMainnetBlock(22_431_084)]
  const { database, node, chain } = await prepareWorld(blocks, { startBlock: 22_431_083 }, null)
  await watch(
    database,
    blocks.flatMap(({ block, receipts }) => addressesOf(block, receipts ?? [])),
  )
  await withContext({ database, url: node.url, chain }, async program => {
    expect((await followToHead(program)).map(({ kind }) => kind)).toEqual(['advanced', 'idle'])
    const checkpoint = await program.store.checkpoint(chain.id)
    expect(checkpoint).toMatchObject({ number: 22_431_084, hash: blocks[1]?.block.hash })
    const followed = await readActivities(database)
    const versions = await readRowVersions(database)

    node.setTags({ finalized: 22_431_084 })
    await database.sql`delete from indexer.coverage`
    expect(await indexRange(program, 22_431_083, 22_431_084)).toEqual({ blocks: 2, activities: 0 })
    expect(await readActivities(database)).toEqual(followed)
    expect(await readRowVersions(database)).toEqual(versions)
  })
})

it('a token whose decimals() reverts has rows without amount, its raw amount kept, and is asked once', async context => {
  needFixtures(context)
  const { rows, requests, chain } = await indexMainnetBlock(14_000_000, { call: () => null })
  const fungible = rows.filter(
    ({ tokenAddress, metadata, rawAmount }) =>
      tokenAddress !== null &&
      !chain.tokens.has(tokenAddress as Hex) &&
      metadata['token_id'] === undefined &&
      rawAmount !== null,
  )
  expect(fungible.length).toBeGreaterThan(100)
  expect(fungible.filter(({ amount }) => amount !== null)).toEqual([])
  const tokens = new Set(fungible.map(({ tokenAddress }) => tokenAddress))
  // decimals, symbol and name, once each.
  expect(requests['eth_call']).toBe(tokens.size * 3)
  const same = (await indexed(14_000_000)).rows
  expect(rows.map(({ id, rawAmount }) => [id, rawAmount])).toEqual(same.map(({ id, rawAmount }) => [id, rawAmount]))
})

it('a few wallets of a block leave exactly the rows that they leave among all wallets', async context => {
  needFixtures(context)
  const all = await indexed(17_300_000)
  const few = all.block.transactions.slice(0, 20).map(({ from }) => from)
  const { database, node, chain } = await prepareWorld([readMainnetBlock(17_300_000), readMainnetBlock(HEAD)])
  await watch(database, few)
  await withContext({ database, url: node.url, chain }, program => indexRange(program, 17_300_000, 17_300_000))
  const rows = await readActivities(database)
  expect(rows.length).toBeGreaterThan(20)
  expect(rows).toEqual(all.rows.filter(({ wallet }) => few.includes(wallet)))
})

it('the command line, as an operator calls it, leaves the same rows with the same ids, and finds nothing to do a second time', async context => {
  needFixtures(context)
  const { rows, addresses } = await indexed(17_300_000)
  const { database, node } = await prepareWorld([readMainnetBlock(17_300_000), readMainnetBlock(HEAD)])
  await watch(database, addresses)
  const environment = { DATABASE_URL: database.url, MAINNET_RPC_URL: node.url, CHAINS: 'mainnet', LOG_LEVEL: 'warn' }
  const args = ['backfill', '--chain', 'mainnet', '--from-block', '17300000', '--to-block', '17300000']
  const first = await runProgram(args, environment)
  expect(first).toMatchObject({
    exitCode: 0,
    output: expect.stringContaining(`1 blocks, ${rows.length} new activities`),
  })
  expect(await readActivities(database)).toEqual(rows)
  const versions = await readRowVersions(database)
  expect(await runProgram(args, environment)).toMatchObject({
    exitCode: 0,
    output: expect.stringContaining('complete already'),
  })
  expect(await readRowVersions(database)).toEqual(versions)
})

// ── A node, a database, the program ──────────────────────────────────────────────────────────────────────────────────────

type World = { readonly database: TestDatabase; readonly node: ReplayNode; readonly chain: Chain }

/** Gone when the test is over. */
async function prepareWorld(
  blocks: readonly ReplayBlock[],
  change: Partial<Chain> = {},
  finalized: number | null = HEAD,
): Promise<World> {
  const chain = { ...readMainnet(), ...change }
  const database = await createDatabase()
  onTestFinished(() => database.drop())
  const node = await startReplayNode({
    chainId: chain.id,
    chain: prepareChain(blocks),
    call: eighteenDecimals,
    finalized,
  })
  onTestFinished(() => node.close())
  return { database, node, chain }
}

async function runProgram(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<{ exitCode: number | null; output: string; errors: string }> {
  const child = spawn(process.execPath, ['src/main.ts', ...args], {
    cwd: ROOT,
    env: { ...process.env, ...environment },
  })
  const output: Buffer[] = []
  const errors: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk))
  const [exitCode] = (await once(child, 'close')) as [number | null]
  return { exitCode, output: Buffer.concat(output).toString(), errors: Buffer.concat(errors).toString() }
}
