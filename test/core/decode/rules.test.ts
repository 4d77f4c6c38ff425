import { describe, expect, test } from 'vitest'
import type { EventRule, RuleToken } from '../../../src/core/chain.ts'
import { TRANSFER } from '../../../src/core/decode/transfer.ts'
import type { Hex, Log, Metadata } from '../../../src/core/types.ts'
import {
  ALICE,
  addressOf,
  BOB,
  CAROL,
  CONTRACT,
  chainOf,
  decode,
  decodeLog,
  GOLD,
  hashOf,
  KITTY,
  NFT,
  ruleOf,
  rulesOf,
  TOKEN,
  tokensOf,
  words,
  ZERO,
} from '../support/build.ts'

const topic = (address: Hex) => hashOf(BigInt(address))
const STAKED = ruleOf('Staked(address indexed user, uint256 amount, uint8 tier)')

/** A log of a rule's contract, with the rule's topic first. */
function logOf(rule: EventRule, indexed: readonly Hex[], data: Hex = '0x'): Partial<Log> {
  return { address: CONTRACT, topics: [rule.topic0, ...indexed], data }
}

function apply(rule: EventRule, log: Partial<Log>, from: Hex = CAROL, blockNumber = 100) {
  const chain = chainOf({ tokens: tokensOf(GOLD, KITTY), rules: rulesOf(rule) })
  const { activities, oddities } = decode([{ transaction: { from, to: CONTRACT, input: '0x12345678' }, logs: [log] }], {
    chain,
    header: { number: blockNumber },
  })
  return {
    activities: activities.filter(({ logIndex }) => logIndex !== null),
    oddities: oddities.map(({ kind }) => kind),
  }
}

const staked = logOf(STAKED, [topic(ALICE)], words(7, 2))

describe('whose activity it is', () => {
  test('the wallet of a parameter, indexed or not', () => {
    expect(apply(STAKED, staked).activities).toMatchObject([{ wallet: ALICE, type: 'STAKE', item: 0, logIndex: 0 }])
    const unindexed = ruleOf('Staked(address user, uint256 amount)')
    expect(apply(unindexed, logOf(unindexed, [], words(BOB, 7))).activities).toMatchObject([{ wallet: BOB }])
  })

  test('the sender of the transaction', () => {
    const rule = ruleOf('Paused()', { activities: [{ wallet: 'tx.from', type: 'PAUSE', eventType: 'ADMIN' }] })
    expect(apply(rule, logOf(rule, []), ALICE).activities).toMatchObject([
      { wallet: ALICE, type: 'PAUSE', asset: null, rawAmount: null, rule: { order: 0, eventType: 'ADMIN' } },
    ])
    expect(apply(rule, logOf(rule, []), CAROL)).toEqual({ activities: [], oddities: [] })
  })

  test('each tracked one of several, with its place in the rule as item', () => {
    const rule = ruleOf('Tipped(address indexed from, address indexed to, address relay)', {
      activities: [
        { wallet: { parameter: 'relay' }, type: 'RELAY', eventType: 'RELAY' },
        { wallet: { parameter: 'from' }, type: 'TIP_SENT', eventType: 'TIP' },
        { wallet: { parameter: 'to' }, type: 'TIP_RECEIVED', eventType: 'TIP' },
      ],
    })
    const { activities } = apply(rule, logOf(rule, [topic(ALICE), topic(BOB)], words(CAROL)))
    expect(activities.map(({ wallet, type, item }) => [wallet, type, item])).toEqual([
      [ALICE, 'TIP_SENT', 1],
      [BOB, 'TIP_RECEIVED', 2],
    ])
  })

  test.each<[string, number, number]>([
    ['before the start block nobody’s', 49, 0],
    ['at the start block', 50, 1],
    ['after it', 51, 1],
  ])('%s', (_name, blockNumber, count) => {
    const { activities, oddities } = apply({ ...STAKED, startBlock: 50 }, staked, CAROL, blockNumber)
    expect(activities).toHaveLength(count)
    expect(oddities).toEqual([])
  })

  test('the same log of another contract is nobody’s', () => {
    expect(apply(STAKED, { ...staked, address: addressOf(0xdead) })).toEqual({ activities: [], oddities: [] })
  })
})

describe('its amount and token', () => {
  const tokens: Exclude<RuleToken, { kind: 'parameter' | 'choice' }>[] = [
    { kind: 'native' },
    { kind: 'address', address: TOKEN },
  ]
  const choice: RuleToken = { kind: 'choice', parameter: 'choice', tokens }
  const parameter: RuleToken = { kind: 'parameter', name: 'asset' }
  const rule = ruleOf('Paid(address indexed user, uint256 amount, address asset, uint8 choice)', { amount: 'amount' })
  test.each<[string, RuleToken, Hex, number, unknown]>([
    ['the native token', { kind: 'native' }, ZERO, 0, { kind: 'native' }],
    ['a listed token', { kind: 'address', address: TOKEN }, ZERO, 0, { kind: 'erc20', address: TOKEN }],
    ['a listed token of pieces', { kind: 'address', address: NFT }, ZERO, 0, { kind: 'pieces', address: NFT }],
    ['a parameter', parameter, BOB, 0, { kind: 'erc20', address: BOB }],
    ['a parameter that names pieces', parameter, NFT, 0, { kind: 'pieces', address: NFT }],
    ['a parameter with the zero address', parameter, ZERO, 0, { kind: 'native' }],
    ['the first choice', choice, ZERO, 0, { kind: 'native' }],
    ['the second choice', choice, ZERO, 1, { kind: 'erc20', address: TOKEN }],
    ['a choice that is none', choice, ZERO, 2, null],
    ['the last number that a choice can be', choice, ZERO, 255, null],
  ])('%s', (_name, token, asset, chosen, expected) => {
    const log = logOf(rule, [topic(ALICE)], words(7, asset, chosen))
    expect(apply({ ...rule, token }, log).activities).toMatchObject([{ rawAmount: 7n, asset: expected }])
  })

  test('a parameter with a checksummed address is the same token', () => {
    const mixed = '0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed'
    const log = logOf(rule, [topic(ALICE)], words(7, mixed, 0))
    expect(apply({ ...rule, token: parameter }, log).activities).toMatchObject([{ asset: { address: mixed } }])
  })

  test.each<[string, bigint, bigint]>([
    ['uint256', 2n ** 256n - 1n, 2n ** 256n - 1n],
    ['uint8', 255n, 255n],
    ['int256', 2n ** 256n - 5n, -5n],
    ['uint128', 2n ** 128n - 1n, 2n ** 128n - 1n],
  ])('an amount of type %s', (type, word, amount) => {
    const typed = ruleOf(`Paid(address indexed user, ${type} amount)`, { amount: 'amount', token: { kind: 'native' } })
    expect(apply(typed, logOf(typed, [topic(ALICE)], words(word))).activities).toMatchObject([{ rawAmount: amount }])
  })
})

describe('its ids', () => {
  const bytes32: Hex = `0x${'AB'.repeat(32)}`
  test.each<[string, Hex, Metadata[string]]>([
    ['uint256 x', words(2n ** 256n - 1n), String(2n ** 256n - 1n)],
    ['uint8 x', words(3), '3'],
    ['int8 x', words(2n ** 256n - 1n), '-1'],
    ['bool x', words(1), true],
    ['bool x', words(0), false],
    ['address x', words(BOB), BOB],
    ['bytes32 x', bytes32, bytes32.toLowerCase()],
    ['bytes x', textWords('hi'), '0x6869'],
    ['string x', textWords('Proposal é 1'), 'Proposal é 1'],
    ['string x', textWords('a\0b\u001b[31m\u202ec'), 'ab[31mc'],
    ['string x', textWords(''), ''],
    ['string x', textWords('y'.repeat(10_000)), 'y'.repeat(256)],
    ['bytes x', textWords('y'.repeat(10_000)), `0x${'79'.repeat(127)}`],
    ['uint256[] x', words(32, 1, 5), null],
  ])('of type %s (%#)', (parameter, data, expected) => {
    const rule = ruleOf(`E(address indexed user, ${parameter})`, { ids: ['x'] })
    const { activities } = apply(rule, logOf(rule, [topic(ALICE)], data))
    expect(activities.map(({ metadata }) => metadata)).toEqual([{ contract: 'Staking', event: 'E', x: expected }])
  })

  test('of an indexed string is its hash', () => {
    const rule = ruleOf('E(address indexed user, string indexed x)', { ids: ['x'] })
    expect(apply(rule, logOf(rule, [topic(ALICE), bytes32])).activities).toMatchObject([
      { metadata: { x: bytes32.toLowerCase() } },
    ])
  })

  test('in bytes that are no UTF-8 are still text that can be stored', () => {
    const rule = ruleOf('E(address indexed user, string x)', { ids: ['x'] })
    const data = `${words(32, 4)}${'fffe80ed'.padEnd(64, '0')}` as Hex
    const text = apply(rule, logOf(rule, [topic(ALICE)], data)).activities[0]?.metadata['x']
    expect(text).toBe('\ufffd\ufffd\ufffd\ufffd')
  })
})

describe('a log that is not what the signature says is counted and passed', () => {
  test.each<[string, Partial<Log>]>([
    ['a topic missing', logOf(STAKED, [], words(ALICE, 7, 2))],
    ['no data', logOf(STAKED, [topic(ALICE)])],
    ['a word missing', logOf(STAKED, [topic(ALICE)], words(7))],
    ['a word cut', logOf(STAKED, [topic(ALICE)], words(7, 2).slice(0, -2) as Hex)],
    ['everything indexed', logOf(STAKED, [topic(ALICE), hashOf(7), hashOf(2)])],
  ])('%s', (_name, log) => {
    expect(apply(STAKED, log)).toEqual({ activities: [], oddities: ['rule:Staking.Staked'] })
  })

  test.each(['string x', 'bytes x', 'uint256[] x', 'string[] x', 'uint256[][] x'])(
    '%s with lying lengths, at once',
    type => {
      const rule = ruleOf(`E(address indexed user, ${type})`, { ids: ['x'] })
      const started = performance.now()
      for (const data of [words(2n ** 255n), words(32, 2n ** 255n), words(32, 2n ** 31n, 32, 32), words(0, 0, 0)]) {
        const { activities, oddities } = apply(rule, logOf(rule, [topic(ALICE)], data))
        // A pointer to itself may be read as an empty value; what counts is that nothing is thrown and nothing else is made up.
        expect(activities.length + oddities.length).toBe(1)
      }
      expect(performance.now() - started).toBeLessThan(1_000)
    },
  )
})

describe('beside a token standard', () => {
  const log = { address: CONTRACT, topics: [TRANSFER, topic(ALICE), topic(BOB)], data: words(7) }

  test('a rule of another type adds its own activity', () => {
    const chain = chainOf({ rules: rulesOf(transferRule(['PAY', 'GET_PAID'])) })
    expect(decodeLog(log, { chain }).briefs).toEqual([
      'alice TRANSFER_OUT 7 erc20',
      'bob TRANSFER_IN 7 erc20',
      'alice PAY 7 erc20',
      'bob GET_PAID 7 erc20',
    ])
  })

  test('a rule of the standard’s own type names the one activity that there is', () => {
    const chain = chainOf({ rules: rulesOf(transferRule(['TRANSFER_OUT', 'TRANSFER_IN'])) })
    const { briefs, activities } = decodeLog(log, { chain })
    expect(briefs).toEqual(['alice TRANSFER_OUT 7 erc20', 'bob TRANSFER_IN 7 erc20'])
    expect(activities.map(({ rule, metadata, item }) => [rule?.eventType, metadata, item])).toEqual([
      ['LDAO_TRANSFER_OUT', { counterparty: BOB, contract: 'Staking', event: 'Transfer' }, 0],
      ['LDAO_TRANSFER_IN', { counterparty: ALICE, contract: 'Staking', event: 'Transfer' }, 0],
    ])
  })

  test('where only the rule understands the log, the oddity is counted and the rule’s activity stays', () => {
    const dirty = { ...log, topics: [TRANSFER, topic(ALICE), hashOf(BigInt(BOB) + 2n ** 200n)] }
    const { activities, oddities } = apply(transferRule(['PAY', 'GET_PAID']), dirty)
    expect(activities.map(({ wallet, type }) => [wallet, type])).toEqual([
      [ALICE, 'PAY'],
      [BOB, 'GET_PAID'],
    ])
    expect(oddities).toEqual([`shape:${TRANSFER}`])
  })
})

/** `text` in the data of an event whose only unindexed parameter is a string. */
function textWords(text: string): Hex {
  const bytes = Buffer.from(text)
  return `${words(32, bytes.length)}${bytes.toString('hex').padEnd(Math.ceil(bytes.length / 32) * 64, '0')}` as Hex
}

/** A rule on a token's Transfer: one type for the sender, one for the recipient. */
function transferRule([sent = '', got = '']: readonly string[]): EventRule {
  return ruleOf('Transfer(address indexed from, address indexed to, uint256 value)', {
    activities: [
      { wallet: { parameter: 'from' }, type: sent, eventType: `LDAO_${sent}` },
      { wallet: { parameter: 'to' }, type: got, eventType: `LDAO_${got}` },
    ],
    amount: 'value',
    token: { kind: 'address', address: CONTRACT },
  })
}
