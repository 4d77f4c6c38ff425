import { expect, test } from 'vitest'
import { CONTRACT, chainFile, chainWithEvents, eventRule, load, problemsOf, TOKEN, WALLET } from './directory.ts'

const CHECKSUMMED = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'

function problemsOfFile(changes: Record<string, unknown>): string[] {
  return problemsOf({ 'a.json': chainFile(changes) })
}

test('defaults: the label is the name, a token is an ERC-20, pieces have no decimals, a contract starts with its chain', () => {
  const { contracts } = chainWithEvents([eventRule()])
  const file = chainFile({
    tokens: [
      { address: TOKEN, symbol: 'GLD', decimals: 9 },
      { address: WALLET, symbol: 'ART', kind: 'erc1155' },
    ],
    contracts,
  })
  const chain = load({ 'a.json': file }).chains[0]?.chain
  expect(chain?.label).toBe('devnet')
  expect([...(chain?.tokens.values() ?? [])]).toEqual([
    { address: TOKEN, symbol: 'GLD', decimals: 9, kind: 'erc20' },
    { address: WALLET, symbol: 'ART', decimals: 0, kind: 'erc1155' },
  ])
  expect([...(chain?.rules.get(CONTRACT)?.values() ?? [])][0]?.startBlock).toBe(5)
})

test.each([
  [undefined, 'auto'],
  ['poll', 'poll'],
  ['off', 'off'],
])('the mempool is watched as the file says, over a websocket if it says nothing: %j', (mempool, mode) => {
  expect(load({ 'a.json': chainFile({ mempool }) }).chains[0]?.chain.mempool).toBe(mode)
})

test.each([
  [undefined, 'basic'],
  ['basic', 'basic'],
  ['full', 'full'],
])('blocks are verified as the file says, without roots if it says nothing: %j', (verification, mode) => {
  expect(load({ 'a.json': chainFile({ verification }) }).chains[0]?.chain.verification).toBe(mode)
})

test('the rules of a chain that starts at the latest block hold for every block', () => {
  const chain = load({ 'a.json': chainWithEvents([eventRule()], { startBlock: 'latest' }) }).chains[0]?.chain
  expect(chain?.startBlock).toBe('latest')
  expect([...(chain?.rules.get(CONTRACT)?.values() ?? [])][0]?.startBlock).toBe(0)
})

test('addresses become lower case, from lower case, upper case and a right checksum', () => {
  const upper = `0x${TOKEN.slice(2).replace('22', 'AB')}`
  const tokens = [CHECKSUMMED, upper].map((address, i) => ({ address, symbol: `T${i}`, decimals: 0 }))
  const chain = load({ 'a.json': chainFile({ tokens }) }).chains[0]?.chain
  expect([...(chain?.tokens.keys() ?? [])]).toEqual([CHECKSUMMED.toLowerCase(), upper.toLowerCase()])
})

test('a wrong checksum is refused with the address', () => {
  const wrong = CHECKSUMMED.replace('5aA', '5AA')
  const [problem] = problemsOfFile({ tokens: [{ address: wrong, symbol: 'T', decimals: 0 }] })
  expect(problem).toContain(`chains/a.json: tokens[0].address: ${wrong}, whose mixed case is not its EIP-55 checksum`)
})

test.each([
  ['id', 0, 'the number 0; expected a chain id from 1'],
  ['id', 2 ** 31, 'expected a chain id from 1 to 2147483647'],
  ['id', '1', 'a string of 1 characters'],
  ['name', 'Main Net', 'expected a name of lower-case letters'],
  ['name', '123', 'expected a name of lower-case letters'],
  ['label', 'x'.repeat(51), 'a string of 51 characters; expected a text of 1 to 50'],
  ['enabled', 'yes', 'expected true or false'],
  ['confirmations', 0, 'the number 0; expected a whole number from 1 on, "safe" or "finalized"'],
  ['confirmations', 1.5, 'the number 1.5'],
  ['confirmations', 'latest', 'a string of 6 characters'],
  ['startBlock', -1, 'the number -1; expected a block number or "latest"'],
  ['startBlock', 'first', 'a string of 5 characters'],
  ['blockTimeSeconds', 0, 'the number 0; expected a number of seconds above 0'],
  ['mempool', 'on', 'a string of 2 characters; expected "auto", "poll" or "off"'],
  ['mempool', false, 'mempool: false; expected "auto"'],
  ['verification', 'roots', 'a string of 5 characters; expected "basic" or "full"'],
  ['verification', true, 'verification: true; expected "basic"'],
  ['nativeToken', { symbol: 'ETH', decimals: 256 }, 'nativeToken.decimals: the number 256'],
  ['nativeToken', { symbol: 'E TH', decimals: 18 }, 'nativeToken.symbol: a string of 4 characters'],
  ['rpc', {}, 'rpc.env: nothing; expected the name of a variable'],
  ['rpc', { env: 'my url' }, 'rpc.env: a string of 6 characters'],
  ['rpc', { env: 'A_URL', public: ['a.example'] }, 'rpc.public[0]: a string of 9 characters without scheme'],
  ['rpc', { env: 'A_URL', public: ['http://a'], extra: 1 }, 'rpc.extra: an unknown field'],
  ['tokens', {}, 'tokens: an object; expected an array of tokens'],
  ['tokens', [{ address: '0x12', symbol: 'T', decimals: 0 }], 'tokens[0].address: a string of 4 characters'],
  ['tokens', [{ address: `0x${'0'.repeat(40)}`, symbol: 'T', decimals: 0 }], 'tokens[0].address: the zero address'],
  ['tokens', [{ address: TOKEN, symbol: 'T' }], 'tokens[0].decimals: nothing; expected the decimals'],
  ['tokens', [{ address: TOKEN, symbol: 'T', decimals: -1 }], 'tokens[0].decimals: the number -1'],
  [
    'tokens',
    [{ address: TOKEN, symbol: 'T', decimals: 18, kind: 'erc721' }],
    'tokens[0].decimals: the number 18; expected 0 or nothing',
  ],
  [
    'tokens',
    [{ address: TOKEN, symbol: 'T', decimals: 18, kind: 'erc777' }],
    'tokens[0].kind: a string of 6 characters',
  ],
  ['tokens', [{ address: TOKEN, symbol: 'T'.repeat(65), decimals: 0 }], 'tokens[0].symbol: a string of 65 characters'],
  ['tokens', [{ address: TOKEN, symbol: 'ETH', decimals: 0 }], 'tokens[0].symbol: "ETH" a second time'],
  ['quirks', ['nativeTransferLogs'], 'quirks[0]: the unknown quirk "nativeTransferLogs"'],
  ['contracts', [{ name: 'C', address: CONTRACT }], 'contracts[0].events: nothing'],
  ['contracts', [{ name: 'C', address: 'here', events: [] }], 'contracts[0].address: a string of 4 characters'],
  [
    'contracts',
    [{ name: 'C', address: CONTRACT, startBlock: 'latest', events: [] }],
    'contracts[0].startBlock: a string of 6 characters',
  ],
  ['traces', true, 'traces: an unknown field'],
])('%s: %j is refused', (field, value, text) => {
  const problems = problemsOfFile({ [field]: value })
  expect(problems).toHaveLength(1)
  expect(problems[0]).toContain('chains/a.json: ')
  expect(problems[0]).toContain(text)
})

test.each(['id', 'name', 'rpc', 'confirmations', 'startBlock', 'blockTimeSeconds', 'nativeToken'])(
  'a chain file without %s is refused',
  field => {
    const problems = problemsOfFile({ [field]: undefined })
    expect(problems).toContainEqual(expect.stringContaining(`chains/a.json: ${field}: nothing; expected `))
  },
)

test('a symbol or a token address that is listed twice is refused, the address in any case', () => {
  const tokens = [
    { address: CHECKSUMMED, symbol: 'A', decimals: 0 },
    { address: CHECKSUMMED.toLowerCase(), symbol: 'A', decimals: 0 },
  ]
  const problems = problemsOfFile({ tokens })
  expect(problems).toHaveLength(2)
  expect(problems[0]).toContain('tokens[1].symbol: "A" a second time')
  expect(problems[1]).toContain('tokens[1].address: ')
})

const same = (field: string) => `chains/b.json: ${field}: the same as in chains/a.json; expected another ${field}`

test('two files of the same id, name, label or RPC variable are refused, disabled ones too', () => {
  const a = chainFile({ label: 'x' })
  const b = chainFile({ label: 'x', enabled: false })
  expect(problemsOf({ 'a.json': a, 'b.json': b })).toEqual(['id', 'name', 'label', 'rpc.env'].map(same))
})

test('an event that has two rules at one address is refused, the address in any case', () => {
  const events = [eventRule({ token: 'ETH' })]
  const contracts = [
    { name: 'A', address: CHECKSUMMED, events },
    { name: 'B', address: CHECKSUMMED.toLowerCase(), events },
  ]
  expect(problemsOfFile({ contracts })).toEqual([
    'chains/a.json: contract B, event Staked: the same address and topic as A Staked; expected one rule for each event of an address',
  ])
})

test('two contracts of one name are refused', () => {
  const contracts = [TOKEN, CONTRACT].map(address => ({ name: 'A', address, events: [] }))
  expect(problemsOfFile({ contracts })[0]).toContain('chains/a.json: contract A: the name a second time')
})

test('JSON that does not parse is told by its place', () => {
  expect(problemsOf({ 'a.json': '{\n  "id": 1,,\n}' })[0]).toContain(
    'chains/a.json: text that is no JSON (line 2 column 11)',
  )
  expect(problemsOf({ 'a.json': '[]' })[0]).toContain('chains/a.json: an array of 0 items; expected an object')
})

test('a byte order mark does not stop a chain file', () => {
  expect(load({ 'a.json': `\uFEFF${JSON.stringify(chainFile())}` }).chains).toHaveLength(1)
})
