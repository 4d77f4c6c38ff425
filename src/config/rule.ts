/**
 * Event rules of a chain file: their schema, and their way from readable names to what the decoder needs.
 *
 * Always holds for a compiled rule: its signature has a topic of its own (it is not anonymous), every parameter has a name and
 * no two have the same, and every name that the rule uses is a parameter of a type that can be used so. A rule that would
 * decode to nothing, or to something else than its writer meant, is refused with the names that are there.
 */

import { type AbiEvent, type AbiParameter, parseAbiItem, toEventSelector } from 'viem'
import { z } from 'zod'
import type { EventRule, RuleToken } from '../core/chain.ts'
import type { Address } from '../core/types.ts'
import { ADDRESS_PATTERN, refusalOfAddress, toAddress } from './address.ts'
import { type Problem, problemsOf, quote } from './problem.ts'

/** The topics of a log beside the signature's. */
const MAX_INDEXED = 3
/** Keys of an activity's metadata that the decoder writes itself. */
const RESERVED_IDS = new Set([
  'contract',
  'event',
  'batch_index',
  'authorization_index',
  'internal',
  'unlimited',
  'unproven',
])

const typeName = z
  .string('a type of activity: capital letters, digits and _, at most 50')
  .regex(/^[A-Z][A-Z0-9_]{0,49}$/, 'a type of activity: capital letters, digits and _, at most 50')
const name = (expected: string) => z.string(expected).min(1, expected)

const choiceSchema = z
  .strictObject(
    {
      parameter: name('the name of an integer parameter of the event'),
      tokens: z
        .array(
          name('a listed symbol, the native symbol or an address'),
          'the tokens that the values 0, 1, 2, … of the parameter mean',
        )
        .min(1, 'the tokens that the values 0, 1, 2, … of the parameter mean'),
    },
    'a token or { "parameter": …, "tokens": […] }',
  )
  .describe('An enum of the contract: the token that each of its values, from 0 on, means.')

export const eventSchema = z.strictObject(
  {
    comment: z.string('a text').optional(),
    event: name('a signature like "Staked(address indexed user, uint256 amount)"').describe(
      'The human-readable signature, with every parameter named.',
    ),
    eventType: typeName.optional().describe('What user_transactions.event_type becomes; default: the activity’s type.'),
    activities: z
      .array(
        z.strictObject(
          {
            wallet: name('an address parameter of the event or "tx.from"'),
            type: typeName,
            eventType: typeName.optional(),
          },
          'an object { "wallet": …, "type": … }',
        ),
        'at least one activity',
      )
      .min(1, 'at least one activity'),
    amount: name('the name of an integer parameter')
      .optional()
      .describe('An integer parameter, in units of the token.'),
    token: z
      .union(
        [name('a listed symbol, the native symbol, an address or an address parameter'), choiceSchema],
        'a listed symbol, the native symbol, an address, an address parameter or { "parameter": …, "tokens": […] }',
      )
      .optional(),
    ids: z
      .array(name('the name of a parameter'), 'an array of names of parameters')
      .optional()
      .describe('Parameters that are kept in the metadata of the activity.'),
  },
  'an object { "event": …, "activities": […] }',
)

type EventEntry = z.infer<typeof eventSchema>

/** What a rule needs of the file around it. */
export type RuleContext = {
  /** The file, and the contract within it, as a problem names them. */
  readonly where: string
  readonly contractName: string
  readonly address: Address
  readonly startBlock: number
  readonly nativeSymbol: string
  readonly addressBySymbol: ReadonlyMap<string, Address>
}

type Refuse = (field: string, found: string, expected: string) => void

/** The rule of one entry of `events`, or null after its problems were added. */
export function compileRule(raw: unknown, order: number, context: RuleContext, problems: Problem[]): EventRule | null {
  const parsed = eventSchema.safeParse(raw)
  if (!parsed.success) {
    const where = `${context.where}, event ${signatureOf(raw, order)}`
    problems.push(...problemsOf(parsed.error.issues, raw, path => (path === '' ? where : `${where}: ${path}`)))
    return null
  }
  const entry = parsed.data
  const before = problems.length
  const refuse: Refuse = (field, found, expected) =>
    problems.push({ where: `${context.where}, event ${quote(entry.event)}: ${field}`, found, expected })

  const abi = parseEvent(entry.event, refuse)
  if (abi === null) return null
  const token = entry.token === undefined ? null : compileToken(entry.token, abi, context, refuse)
  if (entry.amount !== undefined) checkAmount(entry.amount, entry.token, abi, refuse)
  checkIds(entry.ids ?? [], abi, refuse)
  const activities = compileActivities(entry, abi, refuse)
  if (problems.length > before) return null
  return {
    order,
    contractName: context.contractName,
    address: context.address,
    startBlock: context.startBlock,
    topic0: toEventSelector(abi),
    abi,
    activities,
    amount: entry.amount ?? null,
    token,
    ids: entry.ids ?? [],
  }
}

/** How a problem names an event that may not even have a signature. */
function signatureOf(raw: unknown, order: number): string {
  const signature = typeof raw === 'object' && raw !== null && 'event' in raw ? raw.event : undefined
  return typeof signature === 'string' && signature !== '' ? quote(signature) : `number ${order + 1}`
}

// ── The signature ────────────────────────────────────────────────────────────────────────────────────────────────────────

function parseEvent(signature: string, refuse: Refuse): AbiEvent | null {
  const text = signature.replaceAll(/\s+/g, ' ').trim().replace(/ ?;$/, '')
  if (/\) ?anonymous$/.test(text)) {
    refuse(
      'event',
      'an anonymous event',
      'an event whose logs carry its signature: an anonymous one cannot be told from others',
    )
    return null
  }
  const abi = readSignature(text.startsWith('event ') ? text : `event ${text}`, refuse)
  if (abi === null) return null
  return checkParameters(abi.inputs, refuse) ? abi : null
}

function readSignature(text: string, refuse: Refuse): AbiEvent | null {
  const expected = 'a signature like "Staked(address indexed user, uint256 amount)", with uint8 for enums'
  try {
    const item = parseAbiItem([text]) as { readonly type: string }
    if (item.type === 'event') return item as AbiEvent
    refuse('event', `a signature of another kind (${item.type})`, expected)
  } catch (error) {
    refuse('event', `a signature that does not parse (${reasonOf(error)})`, expected)
  }
  return null
}

/** viem's errors say in a meta message which type it is that they don't know. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason'
  const meta: unknown = 'metaMessages' in error && Array.isArray(error.metaMessages) ? error.metaMessages[0] : undefined
  const short = 'shortMessage' in error ? error.shortMessage : error.message
  return String(meta ?? short).replace(/\.$/, '')
}

function checkParameters(inputs: readonly AbiParameter[], refuse: Refuse): boolean {
  const names = inputs.map(input => input.name ?? '')
  const unnamed = names.indexOf('')
  const twice = names.find((one, i) => names.indexOf(one) !== i)
  const indexed = inputs.filter(isIndexed).length
  if (unnamed !== -1) {
    // Decoded arguments come by name only if all of them have one.
    const expected = 'a name for every parameter (any will do, names are no part of the topic)'
    refuse('event', `parameter ${unnamed + 1} has no name`, expected)
  } else if (twice !== undefined) {
    refuse('event', `two parameters are named ${quote(twice)}`, 'a different name for every parameter')
  } else if (indexed > MAX_INDEXED) {
    refuse('event', `${indexed} indexed parameters`, `at most ${MAX_INDEXED}: a log has no more topics`)
  } else return true
  return false
}

function isIndexed(input: AbiParameter): boolean {
  return 'indexed' in input && input.indexed === true
}

function findParameter(abi: AbiEvent, wanted: string): AbiParameter | undefined {
  return abi.inputs.find(input => input.name === wanted)
}

function isInteger(input: AbiParameter): boolean {
  return /^u?int\d*$/.test(input.type)
}

/** The parameters that are there, as a problem shows them. */
function parametersText(abi: AbiEvent): string {
  if (abi.inputs.length === 0) return 'the event has no parameters'
  return `its parameters are ${abi.inputs.map(input => `${input.name} (${input.type})`).join(', ')}`
}

function foundText(wanted: string, parameter: AbiParameter | undefined): string {
  return parameter === undefined
    ? `${quote(wanted)}, which is no parameter`
    : `${quote(wanted)}, which is of type ${parameter.type}`
}

// ── Its use ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

function compileActivities(entry: EventEntry, abi: AbiEvent, refuse: Refuse): EventRule['activities'] {
  const seen = new Set<string>()
  const eventTypes = new Map<string, string>()
  return entry.activities.map(({ wallet, type, eventType: own }, i) => {
    const field = `activities[${i}]`
    const parameter = findParameter(abi, wallet)
    if (wallet !== 'tx.from' && parameter?.type !== 'address') {
      const expected = `an address parameter of the event or "tx.from"; ${parametersText(abi)}`
      refuse(`${field}.wallet`, foundText(wallet, parameter), expected)
    }
    if (seen.has(`${wallet} ${type}`)) refuse(field, `${wallet} has ${type} already`, 'each wallet and type once')
    seen.add(`${wallet} ${type}`)
    const eventType = own ?? entry.eventType ?? type
    // A row is led back to its rule by its type alone: one type can't mean two things.
    if ((eventTypes.get(type) ?? eventType) !== eventType) {
      refuse(`${field}.eventType`, `another one for ${type} than before`, 'one eventType for each type of an event')
    }
    eventTypes.set(type, eventType)
    return { wallet: wallet === 'tx.from' ? wallet : { parameter: wallet }, type, eventType }
  })
}

function checkAmount(amount: string, token: EventEntry['token'], abi: AbiEvent, refuse: Refuse): void {
  const parameter = findParameter(abi, amount)
  if (parameter === undefined || !isInteger(parameter)) {
    refuse('amount', foundText(amount, parameter), `an integer parameter; ${parametersText(abi)}`)
  }
  if (token === undefined) {
    refuse(
      'token',
      'nothing beside an amount',
      'the token that the amount counts (a number without a token belongs into ids)',
    )
  }
}

function checkIds(ids: readonly string[], abi: AbiEvent, refuse: Refuse): void {
  for (const [i, id] of ids.entries()) {
    const field = `ids[${i}]`
    const parameter = findParameter(abi, id)
    if (parameter === undefined) {
      refuse(field, foundText(id, parameter), `a parameter of the event; ${parametersText(abi)}`)
    } else if (RESERVED_IDS.has(id)) {
      refuse(
        field,
        `${quote(id)}, which the metadata has already`,
        'another name in the signature (names are no part of the topic)',
      )
    } else if (parameter.type.endsWith(']') || parameter.type.startsWith('tuple')) {
      refuse(field, foundText(id, parameter), 'a parameter of a single value')
    } else if (isIndexed(parameter) && (parameter.type === 'string' || parameter.type === 'bytes')) {
      refuse(
        field,
        `${quote(id)}, an indexed ${parameter.type}: the log has only its hash`,
        'a parameter whose value is in the log',
      )
    }
    if (ids.indexOf(id) !== i) refuse(field, `${quote(id)} a second time`, 'each parameter once')
  }
}

function compileToken(
  token: NonNullable<EventEntry['token']>,
  abi: AbiEvent,
  context: RuleContext,
  refuse: Refuse,
): RuleToken | null {
  if (typeof token === 'string') {
    const parameter = findParameter(abi, token)
    const fixed = fixedToken(token, 'token', context, refuse)
    if (parameter === undefined) {
      if (fixed === undefined) {
        const expected = `${tokensText(context)}, or an address parameter; ${parametersText(abi)}`
        refuse('token', `${quote(token)}, which is neither`, expected)
      }
      return fixed ?? null
    }
    if (fixed !== undefined) {
      refuse(
        'token',
        `${quote(token)}, a symbol and a parameter`,
        'another name in the signature, so that it means one thing',
      )
    } else if (parameter.type !== 'address') {
      refuse('token', foundText(token, parameter), `an address parameter; ${parametersText(abi)}`)
    }
    return { kind: 'parameter', name: token }
  }
  const parameter = findParameter(abi, token.parameter)
  if (parameter === undefined || !isInteger(parameter)) {
    refuse('token.parameter', foundText(token.parameter, parameter), `an integer parameter; ${parametersText(abi)}`)
  }
  const tokens = token.tokens.map((one, i) => {
    const fixed = fixedToken(one, `token.tokens[${i}]`, context, refuse)
    if (fixed === undefined) refuse(`token.tokens[${i}]`, `${quote(one)}, which is neither`, tokensText(context))
    return fixed ?? null
  })
  return { kind: 'choice', parameter: token.parameter, tokens: tokens.filter(one => one !== null) }
}

type FixedToken = Exclude<RuleToken, { kind: 'parameter' | 'choice' }>

/** What a symbol or an address means by itself: undefined for neither, null for an address that was refused. */
function fixedToken(text: string, field: string, context: RuleContext, refuse: Refuse): FixedToken | null | undefined {
  if (text === context.nativeSymbol) return { kind: 'native' }
  const listed = context.addressBySymbol.get(text)
  if (listed !== undefined) return { kind: 'address', address: listed }
  if (!ADDRESS_PATTERN.test(text)) return undefined
  const refusal = refusalOfAddress(text)
  if (refusal === undefined) return { kind: 'address', address: toAddress(text) }
  refuse(field, refusal.found, refusal.expected)
  return null
}

function tokensText({ nativeSymbol, addressBySymbol }: RuleContext): string {
  return `a listed symbol (${[nativeSymbol, ...addressBySymbol.keys()].join(', ')}) or an address`
}
