/**
 * A chain file: its schema, and its way to the `Chain` that the core works with.
 *
 * Always holds for a compiled chain: addresses are lower case; symbols (the native one included), token addresses and the
 * pairs of contract and topic are unique; every rule stands under its contract and topic; the numbers fit the columns that
 * they are written to.
 *
 * Why parts are checked one by one beside the whole: zod says nothing of the inside of a rule before its shape is right, and
 * whoever mends a file wants to see everything that is wrong with it, not the next thing after each attempt.
 */

import { z } from 'zod'
import { parseUnits } from 'viem'
import type { Chain, EventRule, ListedToken, Tier } from '../core/chain.ts'
import type { Address, Hash } from '../core/types.ts'
import { addressSchema, toAddress } from './address.ts'
import { fieldOf, itemsOf, type Problem, problemsOf, quote, shapeOf } from './problem.ts'
import { compileRule, eventSchema } from './rule.ts'
import { RPC_URL_EXPECTED, rpcUrlShape } from './rpc-url.ts'

/** What the columns `chain_id` and `block_number`, which are of type `integer`, can hold. */
const MAX_INTEGER = 2_147_483_647
/** What the columns `chain` and `token` can hold. */
const MAX_LABEL_LENGTH = 50
const MAX_SYMBOL_LENGTH = 64

/**
 * Differences from Ethereum that a chain can have and this daemon knows how to treat. None yet: a chain that needs one is
 * refused rather than indexed wrongly.
 */
const KNOWN_QUIRKS: ReadonlySet<string> = new Set()

const text = (expected: string) => z.string(expected)
const integer = (min: number, max: number, expected: string) => z.int(expected).min(min, expected).max(max, expected)

const comment = text('a text').optional().describe('For people; not read.')
const blockNumber = (expected: string) => integer(0, MAX_INTEGER, expected)
const decimals = integer(0, 255, 'a whole number from 0 to 255')
const SYMBOL = `a symbol of 1 to ${MAX_SYMBOL_LENGTH} printable characters without spaces`
const symbol = text(SYMBOL)
  .max(MAX_SYMBOL_LENGTH, SYMBOL)
  .regex(/^[\x21-\x7e]+$/, SYMBOL)
const NAME = 'a name of lower-case letters, digits and -, beginning with a letter'
const LABEL = `a text of 1 to ${MAX_LABEL_LENGTH} characters`
const VARIABLE = 'the name of a variable, like SEPOLIA_RPC_URL'
export const VARIABLE_PATTERN = /^[A-Z][A-Z0-9_]*$/
const variable = text(VARIABLE).regex(VARIABLE_PATTERN, VARIABLE)

const publicUrl = text(RPC_URL_EXPECTED).superRefine((url, context) => {
  const found = rpcUrlShape(url)
  if (found !== undefined) context.addIssue({ code: 'custom', message: RPC_URL_EXPECTED, params: { found } })
})

const quirk = text('the name of a quirk').superRefine((found, context) => {
  if (KNOWN_QUIRKS.has(found)) return
  const expected = 'only quirks that this version treats; it knows none yet'
  context.addIssue({ code: 'custom', message: expected, params: { found: `the unknown quirk ${quote(found)}` } })
})

const TIER_CONFIRMATIONS = 'a whole number from 1 on, or "finalized"'
const tokenSchema = z.strictObject(
  {
    comment,
    address: addressSchema,
    symbol,
    decimals: decimals.optional().describe('Required for erc20; pieces have none.'),
    kind: z.enum(['erc20', 'erc721', 'erc1155'], 'erc20, erc721 or erc1155').optional().describe('Default: erc20.'),
  },
  'an object { "address": …, "symbol": …, "decimals": … }',
)

const TIER = 'an object { "token": …, "above": …, "confirmations": … }'
const AMOUNT = 'a decimal amount in quotes, like "10000" or "0.5"'
const tierSchema = z.strictObject(
  {
    comment,
    token: text('the symbol of a listed token or of the native one'),
    above: text(AMOUNT).regex(/^\d+(?:\.\d+)?$/, AMOUNT),
    confirmations: z.union(
      [integer(1, Number.MAX_SAFE_INTEGER, TIER_CONFIRMATIONS), z.literal('finalized', TIER_CONFIRMATIONS)],
      TIER_CONFIRMATIONS,
    ),
  },
  TIER,
)

const limitsSchema = z.strictObject(
  {
    requestsPerSecond: z
      .number('a number above 0')
      .positive('a number above 0')
      .optional()
      .describe('Default: none; it is found out from refusals.'),
    concurrency: integer(1, 1_000, 'a whole number from 1 to 1000').optional().describe('Default: 16.'),
    requestsPerDay: integer(1, Number.MAX_SAFE_INTEGER, 'a whole number from 1 on')
      .optional()
      .describe('Days of UTC. Live following comes first; backfill takes what that leaves. Default: none.'),
  },
  'an object { "requestsPerSecond": …, "concurrency": …, "requestsPerDay": … }',
)
export type RpcLimits = z.infer<typeof limitsSchema>

const contractSchema = z.strictObject(
  {
    comment,
    name: text('a name, which metadata.contract of the activities gets').min(1, 'a name'),
    address: addressSchema,
    startBlock: blockNumber('a block number').optional().describe('Default: that of the chain.'),
    events: z.array(eventSchema, 'an array of event rules'),
  },
  'an object { "name": …, "address": …, "events": […] }',
)

/** A day: mempools keep what they can't mine for hours. */
const DROPPED_AFTER_SECONDS = 86_400
const MEMPOOL = '"auto", "poll" or "off"'
const VERIFICATION = '"basic" or "full"'
const START_BLOCK = 'a block number or "latest"'
const CONFIRMATIONS = 'a whole number from 1 on, "safe" or "finalized"'

export const chainFileSchema = z
  .strictObject(
    {
      $schema: text('a path').optional(),
      comment,
      id: integer(1, MAX_INTEGER, `a chain id from 1 to ${MAX_INTEGER} (wallet_activity.chain_id is an integer)`),
      name: text(NAME).regex(/^[a-z][a-z0-9-]*$/, NAME),
      label: text(LABEL)
        .min(1, LABEL)
        .max(MAX_LABEL_LENGTH, LABEL)
        .optional()
        .describe('What user_transactions.chain gets; default: the name.'),
      enabled: z.boolean('true or false').optional().describe('Default: true. CHAINS overrides it.'),
      rpc: z.strictObject(
        {
          env: variable.describe('The variable that holds the RPC URLs.'),
          fallbackEnv: z
            .array(variable, 'an array of names of variables')
            .optional()
            .describe('Read when env is not set.'),
          public: z
            .array(publicUrl, 'an array of URLs')
            .optional()
            .describe('Endpoints without a key, used when no variable is set.'),
          limits: limitsSchema.optional().describe('What each endpoint may be asked.'),
        },
        'an object { "env": … }',
      ),
      confirmations: z.union(
        [integer(1, Number.MAX_SAFE_INTEGER, CONFIRMATIONS), z.enum(['safe', 'finalized'], CONFIRMATIONS)],
        CONFIRMATIONS,
      ),
      confirmationTiers: z
        .array(tierSchema, 'an array of tiers')
        .optional()
        .describe("More confirmations above an amount. The chain's own have to be reached too."),
      startBlock: z.union([blockNumber(START_BLOCK), z.literal('latest', START_BLOCK)], START_BLOCK),
      blockTimeSeconds: z.number('a number of seconds above 0').positive('a number of seconds above 0'),
      droppedAfterSeconds: z
        .number('a number of seconds above 0')
        .positive('a number of seconds above 0')
        .optional()
        .describe('A transaction that no endpoint knows counts as dropped after this time. Default: a day.'),
      mempool: z
        .enum(['auto', 'poll', 'off'], MEMPOOL)
        .optional()
        .describe(
          'How transactions are shown before a block holds them. auto (default): over a websocket, if an RPC URL is one. poll: also over HTTP, which costs a request or more every third of the block time. off: not at all.',
        ),
      verification: z
        .enum(['basic', 'full'], VERIFICATION)
        .optional()
        .describe(
          'What is believed of a block. basic (default): that block, receipts and logs fit together. full: also that its hash is that of its header, its roots those of its transactions and receipts, and its senders those who signed.',
        ),
      nativeToken: z.strictObject({ symbol, decimals }, 'an object { "symbol": …, "decimals": … }'),
      tokens: z.array(tokenSchema, 'an array of tokens').optional(),
      contracts: z.array(contractSchema, 'an array of contracts').optional(),
      quirks: z.array(quirk, 'an array of names of quirks').optional().describe('None is known yet.'),
    },
    'an object: a chain file',
  )
  .meta({ title: 'Chain file', description: 'An EVM chain that the indexer follows.' })

export type ChainFile = z.infer<typeof chainFileSchema>

/** The chain of a parsed file, or null after its problems were added. `where` is the file as a problem names it. */
export function compileChain(
  raw: unknown,
  where: string,
  problems: Problem[],
): { chain: Chain; file: ChainFile } | null {
  const before = problems.length
  const parsed = chainFileSchema.safeParse(raw)
  if (!parsed.success) {
    // Issues within an event are told by its rule, which names the contract and the event.
    const issues = parsed.error.issues.filter(
      issue => !(issue.path[0] === 'contracts' && issue.path[2] === 'events' && issue.path.length > 3),
    )
    problems.push(...problemsOf(issues, raw, path => (path === '' ? where : `${where}: ${path}`)))
  }
  checkTokens(raw, where, problems)
  const rules = compileRules(raw, where, problems)
  const tiers = parsed.success ? compileTiers(parsed.data, where, problems) : []
  if (!parsed.success || problems.length > before) return null
  const file = parsed.data
  const chain: Chain = {
    id: file.id,
    name: file.name,
    label: file.label ?? file.name,
    confirmations: file.confirmations,
    tiers,
    startBlock: file.startBlock,
    blockTimeSeconds: file.blockTimeSeconds,
    droppedAfterSeconds: file.droppedAfterSeconds ?? DROPPED_AFTER_SECONDS,
    mempool: file.mempool ?? 'auto',
    verification: file.verification ?? 'basic',
    nativeToken: file.nativeToken,
    tokens: compileTokens(file),
    rules,
  }
  return { chain, file }
}

function compileTiers(file: ChainFile, where: string, problems: Problem[]): Tier[] {
  return (file.confirmationTiers ?? []).flatMap(({ token, above, confirmations }, index) => {
    const path = `${where}: confirmationTiers[${index}]`
    const listed = (file.tokens ?? []).find(each => each.symbol === token)
    if (listed === undefined && token !== file.nativeToken.symbol) {
      problems.push({
        where: `${path}.token`,
        found: quote(token),
        expected: 'the symbol of a listed token or of the native one',
      })
      return []
    }
    const places = listed === undefined ? file.nativeToken.decimals : (listed.decimals ?? 0)
    if ((above.split('.')[1] ?? '').length > places) {
      problems.push({
        where: `${path}.above`,
        found: quote(above),
        expected: `an amount with at most ${places} decimals`,
      })
      return []
    }
    return [
      {
        asset: listed === undefined ? 'native' : toAddress(listed.address),
        above: parseUnits(above, places),
        confirmations,
      },
    ]
  })
}

function compileTokens(file: ChainFile): Map<Address, ListedToken> {
  const tokens = (file.tokens ?? []).map(
    ({ address, symbol: name, decimals: places, kind }): ListedToken => ({
      address: toAddress(address),
      symbol: name,
      decimals: places ?? 0,
      kind: kind ?? 'erc20',
    }),
  )
  return new Map(tokens.map(token => [token.address, token]))
}

/** What the schema can't say of tokens: each once, and decimals where the kind has them. */
function checkTokens(raw: unknown, where: string, problems: Problem[]): void {
  const symbols = new Set<unknown>([fieldOf(fieldOf(raw, 'nativeToken'), 'symbol')])
  const addresses = new Set<unknown>()
  for (const [i, token] of itemsOf(fieldOf(raw, 'tokens')).entries()) {
    const refuse = (field: string, found: string, expected: string) =>
      problems.push({ where: `${where}: tokens[${i}].${field}`, found, expected })
    const name = fieldOf(token, 'symbol')
    if (typeof name === 'string' && symbols.has(name)) {
      refuse('symbol', `${quote(name)} a second time`, 'each symbol once, the native one included')
    }
    symbols.add(name)
    const address = lowerCase(fieldOf(token, 'address'))
    if (address !== undefined && addresses.has(address)) {
      refuse('address', `${quote(address)} a second time`, 'each token once')
    }
    addresses.add(address)
    const places = fieldOf(token, 'decimals')
    const isPieces = ['erc721', 'erc1155'].includes(String(fieldOf(token, 'kind')))
    if (isPieces && typeof places === 'number' && places !== 0) {
      refuse('decimals', shapeOf(places), '0 or nothing: erc721 and erc1155 are counted in pieces')
    }
    if (!isPieces && places === undefined) refuse('decimals', 'nothing', 'the decimals of the erc20 token')
  }
}

function compileRules(raw: unknown, where: string, problems: Problem[]): Map<Address, Map<Hash, EventRule>> {
  const rules = new Map<Address, Map<Hash, EventRule>>()
  const names = new Set<string>()
  const tokenContext = tokenContextOf(raw)
  let order = 0
  for (const [i, contract] of itemsOf(fieldOf(raw, 'contracts')).entries()) {
    const name = fieldOf(contract, 'name')
    const contractName = typeof name === 'string' ? name : `number ${i + 1}`
    const contractWhere = `${where}: contract ${contractName}`
    // The rows of a rule are led back to it by the contract's name.
    if (names.has(contractName)) {
      problems.push({
        where: contractWhere,
        found: 'the name a second time',
        expected: 'a name of its own for each contract',
      })
    }
    names.add(contractName)
    const address = toAddress(lowerCase(fieldOf(contract, 'address')) ?? '')
    const startBlock = startBlockOf(fieldOf(contract, 'startBlock') ?? fieldOf(raw, 'startBlock'))
    const context = { ...tokenContext, where: contractWhere, contractName, address, startBlock }
    for (const entry of itemsOf(fieldOf(contract, 'events'))) {
      const rule = compileRule(entry, order, context, problems)
      order += 1
      if (rule !== null) addRule(rules, rule, contractWhere, problems)
    }
  }
  return rules
}

function addRule(rules: Map<Address, Map<Hash, EventRule>>, rule: EventRule, where: string, problems: Problem[]): void {
  const ofContract = rules.get(rule.address) ?? new Map<Hash, EventRule>()
  const other = ofContract.get(rule.topic0)
  if (other !== undefined) {
    const found = `the same address and topic as ${other.contractName} ${other.abi.name}`
    problems.push({
      where: `${where}, event ${rule.abi.name}`,
      found,
      expected: 'one rule for each event of an address',
    })
    return
  }
  for (const overload of ofContract.values()) {
    if (overload.abi.name !== rule.abi.name || overload.contractName !== rule.contractName) continue
    const clash = rule.activities.find(({ type, eventType }) =>
      overload.activities.some(activity => activity.type === type && activity.eventType !== eventType),
    )
    // As within one rule: a row is led back to what it means by contract, name of the event and type.
    if (clash === undefined) continue
    const found = `another eventType for ${clash.type} than in the event of the same name`
    problems.push({ where: `${where}, event ${rule.abi.name}`, found, expected: 'the same eventType' })
  }
  ofContract.set(rule.topic0, rule)
  rules.set(rule.address, ofContract)
}

/** The symbols that rules may name, taken also from tokens that have problems of their own: one mistake, one problem. */
function tokenContextOf(raw: unknown): { nativeSymbol: string; addressBySymbol: Map<string, Address> } {
  const native = fieldOf(fieldOf(raw, 'nativeToken'), 'symbol')
  const addressBySymbol = new Map<string, Address>()
  for (const token of itemsOf(fieldOf(raw, 'tokens'))) {
    const name = fieldOf(token, 'symbol')
    if (typeof name === 'string') addressBySymbol.set(name, toAddress(lowerCase(fieldOf(token, 'address')) ?? ''))
  }
  return { nativeSymbol: typeof native === 'string' ? native : 'native', addressBySymbol }
}

/** "latest" is decided when the daemon first starts: the rules of such a chain hold for every block that it indexes. */
function startBlockOf(value: unknown): number {
  return typeof value === 'number' ? value : 0
}

function lowerCase(value: unknown): string | undefined {
  return typeof value === 'string' ? value.toLowerCase() : undefined
}
