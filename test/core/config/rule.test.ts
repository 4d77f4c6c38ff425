import { toEventSelector } from 'viem'
import { expect, test } from 'vitest'
import type { EventRule } from '../../../src/core/chain.ts'
import { CONTRACT, chainWithEvents, eventRule, load, problemsOf, TOKEN } from './directory.ts'

function compile(changes: Record<string, unknown> = {}): EventRule {
  const chain = load({ 'a.json': chainWithEvents([eventRule(changes)]) }).chains[0]?.chain
  const rule = chain?.rules.get(CONTRACT)?.values().next().value
  if (rule === undefined) throw new Error('No rule was compiled.')
  return rule
}

function refusal(changes: Record<string, unknown>): string {
  const problems = problemsOf({ 'a.json': chainWithEvents([eventRule(changes)]) })
  expect(problems).toHaveLength(1)
  return problems[0] ?? ''
}

const PARAMETERS = 'its parameters are user (address), amount (uint256), tier (uint8), asset (address), note (string)'

test('a rule becomes what the decoder needs', () => {
  const rule = compile()
  expect(rule).toMatchObject({
    order: 0,
    contractName: 'Staking',
    address: CONTRACT,
    startBlock: 5,
    topic0: toEventSelector('Staked(address,uint256,uint8,address,string)'),
    activities: [{ wallet: { parameter: 'user' }, type: 'STAKE', eventType: 'STAKE' }],
    amount: 'amount',
    token: { kind: 'address', address: TOKEN },
    ids: ['tier'],
  })
  expect(rule.abi).toMatchObject({ type: 'event', name: 'Staked' })
})

test('order counts through the file', () => {
  const contracts = ['A', 'B'].map((name, i) => ({
    name,
    address: `0x${String(i + 4).repeat(40)}`,
    events: ['X()', 'Y()'].map(event => ({ event, activities: [{ wallet: 'tx.from', type: 'DO' }] })),
  }))
  const chain = load({ 'a.json': chainWithEvents([], { contracts }) }).chains[0]?.chain
  const rules = [...(chain?.rules.values() ?? [])].flatMap(ofContract => [...ofContract.values()])
  expect(rules.map(rule => [rule.contractName, rule.abi.name, rule.order])).toEqual([
    ['A', 'X', 0],
    ['A', 'Y', 1],
    ['B', 'X', 2],
    ['B', 'Y', 3],
  ])
})

test.each(['event Staked(address indexed user, uint256 amount)', '  Staked( address   indexed user,uint amount ) ;'])(
  'the signature may be written %j',
  event => {
    expect(compile({ event, ids: [] }).topic0).toBe(toEventSelector('Staked(address,uint256)'))
  },
)

test.each([
  ['ETH', { kind: 'native' }],
  ['GLD', { kind: 'address', address: TOKEN }],
  [
    '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
    { kind: 'address', address: '0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed' },
  ],
  ['asset', { kind: 'parameter', name: 'asset' }],
  [
    { parameter: 'tier', tokens: ['ETH', 'GLD', TOKEN] },
    {
      kind: 'choice',
      parameter: 'tier',
      tokens: [{ kind: 'native' }, { kind: 'address', address: TOKEN }, { kind: 'address', address: TOKEN }],
    },
  ],
])('the token %j', (token, compiled) => {
  expect(compile({ token }).token).toEqual(compiled)
})

test('a rule needs neither amount nor token', () => {
  expect(compile({ amount: undefined, token: undefined, ids: undefined })).toMatchObject({
    amount: null,
    token: null,
    ids: [],
  })
})

test('eventType is the activity’s own, else the event’s, else the activity’s type', () => {
  const activities = [
    { wallet: 'user', type: 'TIP_SENT' },
    { wallet: 'asset', type: 'TIP_RECEIVED', eventType: 'GIFT' },
    { wallet: 'tx.from', type: 'TIP_RELAYED' },
  ]
  expect(compile({ activities }).activities.map(({ eventType }) => eventType)).toEqual([
    'TIP_SENT',
    'GIFT',
    'TIP_RELAYED',
  ])
  const rule = compile({ activities, eventType: 'TIP' })
  expect(rule.activities.map(({ eventType }) => eventType)).toEqual(['TIP', 'GIFT', 'TIP'])
  expect(rule.activities[2]?.wallet).toBe('tx.from')
})

test('a refusal names the file, the contract and the event, and the parameters that are there', () => {
  const event = 'Staked(address indexed user)'
  const changes = {
    event,
    activities: [{ wallet: 'usr', type: 'STAKE' }],
    amount: undefined,
    token: undefined,
    ids: [],
  }
  expect(refusal(changes)).toBe(
    `chains/a.json: contract Staking, event "${event}": activities[0].wallet: "usr", which is no parameter; ` +
      'expected an address parameter of the event or "tx.from"; its parameters are user (address)',
  )
})

test.each([
  ['Staked(', 'a signature that does not parse'],
  ['Staked(PaymentMethod method)', 'Type "PaymentMethod" is not a valid ABI type'],
  ['function stake(uint256 amount)', 'a signature that does not parse'],
  ['Staked(address user) anonymous', 'an anonymous event'],
  ['Staked(address indexed, uint256 amount)', 'parameter 1 has no name'],
  ['Staked(address user, uint256 user)', 'two parameters are named "user"'],
  ['Staked(address indexed a, address indexed b, address indexed c, address indexed d)', '4 indexed parameters'],
])('the signature %j is refused', (event, text) => {
  const problem = refusal({ event })
  expect(problem).toContain(`chains/a.json: contract Staking, event ${JSON.stringify(event)}: event: `)
  expect(problem).toContain(text)
})

const wallet = (name: string, type = 'STAKE') => ({ activities: [{ wallet: name, type }] })

test.each([
  [
    wallet('usr'),
    `activities[0].wallet: "usr", which is no parameter; expected an address parameter of the event or "tx.from"; ${PARAMETERS}`,
  ],
  [wallet('amount'), 'activities[0].wallet: "amount", which is of type uint256'],
  [wallet('toString'), 'activities[0].wallet: "toString", which is no parameter'],
  [wallet('tx.to'), 'activities[0].wallet: "tx.to", which is no parameter'],
  [wallet('user', 'stake'), 'activities[0].type: a string of 5 characters; expected a type of activity'],
  [wallet('user', 'S'.repeat(51)), 'activities[0].type: a string of 51 characters'],
  [{ activities: [] }, 'activities: an array of 0 items; expected at least one activity'],
  [{ activities: [{ wallet: 'user', type: 'A', typo: 1 }] }, 'activities[0].typo: an unknown field'],
  [
    {
      activities: [
        { wallet: 'user', type: 'A' },
        { wallet: 'user', type: 'A' },
      ],
    },
    'activities[1]: user has A already',
  ],
  [
    {
      activities: [
        { wallet: 'user', type: 'A' },
        { wallet: 'asset', type: 'A', eventType: 'B' },
      ],
    },
    'activities[1].eventType: another one for A than before',
  ],
  [{ eventType: 'tip' }, 'eventType: a string of 3 characters'],
  [{ amount: 'value' }, `amount: "value", which is no parameter; expected an integer parameter; ${PARAMETERS}`],
  [{ amount: 'note' }, 'amount: "note", which is of type string'],
  [
    { token: undefined },
    'token: nothing beside an amount; expected the token that the amount counts (a number without a token belongs into ids)',
  ],
  [
    { token: 'SLV' },
    `token: "SLV", which is neither; expected a listed symbol (ETH, GLD) or an address, or an address parameter; ${PARAMETERS}`,
  ],
  [{ token: 'tier' }, 'token: "tier", which is of type uint8; expected an address parameter'],
  [
    { token: '0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed' },
    'token: 0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed, whose mixed case',
  ],
  [{ token: `0x${'0'.repeat(40)}` }, 'token: the zero address'],
  [{ token: { parameter: 'tier', tokens: ['ETH', 'SLV'] } }, 'token.tokens[1]: "SLV", which is neither'],
  [{ token: { parameter: 'tier', tokens: ['asset'] } }, 'token.tokens[0]: "asset", which is neither'],
  [{ token: { parameter: 'tier', tokens: [] } }, 'token.tokens: an array of 0 items'],
  [
    { token: { parameter: 'asset', tokens: ['ETH'] } },
    'token.parameter: "asset", which is of type address; expected an integer parameter',
  ],
  [{ token: { parameter: 'method', tokens: ['ETH'] } }, 'token.parameter: "method", which is no parameter'],
  [{ token: { parameter: 'tier', tokens: ['ETH'], typo: 1 } }, 'token.typo: an unknown field'],
  [{ token: 7 }, 'token: the number 7; expected a listed symbol'],
  [{ ids: ['id'] }, `ids[0]: "id", which is no parameter; expected a parameter of the event; ${PARAMETERS}`],
  [{ ids: ['note'] }, 'ids[0]: "note", an indexed string: the log has only its hash'],
  [{ ids: ['tier', 'tier'] }, 'ids[1]: "tier" a second time'],
  [{ typo: 1 }, 'typo: an unknown field'],
])('%j is refused', (changes, text) => {
  expect(refusal(changes)).toContain(text)
})

test.each([
  ['bytes indexed data', 'data', 'an indexed bytes'],
  ['uint256[] indexed data', 'data', 'which is of type uint256[]'],
  ['uint256[] data', 'data', 'which is of type uint256[]'],
  ['(uint256 a, string b) data', 'data', 'which is of type tuple'],
  ['string contract_, uint256 event_, uint256 contract', 'contract', 'which the metadata has already'],
])('of %j the parameter %s is refused as an id', (parameters, id, text) => {
  const event = `Done(${parameters})`
  expect(refusal({ event, ...wallet('tx.from'), amount: undefined, token: undefined, ids: [id] })).toContain(text)
})

test.each(['string data', 'bytes data', 'bytes32 indexed data', 'bool data', 'int8 indexed data', 'address data'])(
  '%s may be an id',
  parameter => {
    const changes = {
      event: `Done(${parameter})`,
      ...wallet('tx.from'),
      amount: undefined,
      token: undefined,
      ids: ['data'],
    }
    expect(compile(changes).ids).toEqual(['data'])
  },
)

test('a name that is a symbol and a parameter is refused', () => {
  const event = 'Staked(address indexed user, uint256 amount, address GLD)'
  expect(refusal({ event, ids: [] })).toContain('token: "GLD", a symbol and a parameter')
})

const tip = (event: string, eventType: string) => ({
  event,
  eventType,
  activities: [{ wallet: 'tx.from', type: 'TIP_SENT' }],
})

test('events of one name in one contract can not give a type two meanings', () => {
  const [problem] = problemsOf({
    'a.json': chainWithEvents([tip('Tipped()', 'TIP'), tip('Tipped(uint256 a)', 'GIFT')]),
  })
  expect(problem).toContain('contract Staking, event Tipped: another eventType for TIP_SENT')
  expect(
    load({ 'a.json': chainWithEvents([tip('Tipped()', 'TIP'), tip('Tipped(uint256 a)', 'TIP')]) }).chains,
  ).toHaveLength(1)
})
