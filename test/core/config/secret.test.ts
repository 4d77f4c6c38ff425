import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { collectSecrets, createScrubber, displayUrl } from '../../../src/config/secret.ts'
import { chainFile, load } from './directory.ts'

const KEY = 'k3y_4f9a1c77e2b04d5d'

test.each([
  [`https://eth.example/v2/${KEY}`, 'https://eth.example'],
  [`wss://eth.example:8546/${KEY}?a=${KEY}#${KEY}`, 'wss://eth.example:8546'],
  [`https://user:${KEY}@eth.example`, 'https://eth.example'],
  [`postgres://user:${KEY}@db:5432/linkdao`, 'postgres://db:5432'],
  ['http://[::1]:8545', 'http://[::1]:8545'],
  [`eth.example/${KEY}`, '(unreadable URL)'],
  [`${KEY}:abc`, '(unreadable URL)'],
  [`https://user:12/${KEY}@eth.example`, '(unreadable URL)'],
  ['', '(unreadable URL)'],
])('%s is shown as %s', (url, shown) => {
  expect(displayUrl(url)).toBe(shown)
})

test('the URLs of a configuration are its secrets', () => {
  const config = load(
    { 'a.json': chainFile() },
    { DATABASE_URL: 'postgres://h/db', DEVNET_RPC_URL: 'http://a,http://b' },
  )
  expect(collectSecrets(config)).toEqual(['postgres://h/db', 'http://a', 'http://b'])
  expect(collectSecrets(load({ 'a.json': chainFile() }))).toEqual(['http://127.0.0.1:8545'])
})

test.each([
  [`https://eth.example/v2/${KEY}`, `POST https://eth.example/v2/${KEY} failed`, 'POST https://eth.example/*** failed'],
  [`https://eth.example/v2/${KEY}`, `cannot POST /v2/${KEY}`, 'cannot POST /***'],
  [`https://eth.example/v2/${KEY}`, `invalid key "${KEY}"`, 'invalid key "***"'],
  [`https://eth.example/?dkey=${KEY}&network=sepolia`, `unknown dkey=${KEY} on sepolia`, 'unknown dkey=*** on sepolia'],
  [`https://me:${KEY}@eth.example/`, `https://me:${KEY}@eth.example/ is down`, 'https://***@eth.example/ is down'],
  ['https://eth.example/v2', 'https://eth.example/v2 speaks v2', 'https://eth.example/*** speaks v2'],
  ['postgres://postgres:postgres@db/linkdao', 'postgres is down, linkdao too', 'postgres is down, linkdao too'],
  [
    'postgres://app_user:a%26b%2Fc%3D1@db/linkdao',
    'password a&b/c=1 of "app_user" is wrong',
    'password *** of "***" is wrong',
  ],
  [`https://eth.example/11155111/${KEY}`, 'chain 11155111', 'chain 11155111'],
  ['a bare secret', 'not a bare secret', 'not ***'],
])('of %s the text %s keeps %s', (secret, text, scrubbed) => {
  expect(createScrubber([secret])(text)).toBe(scrubbed)
})

test('secrets that overlap are hidden whole', () => {
  const scrub = createScrubber(['https://a.example/abcdefgh', 'https://b.example/efghijkl'])
  expect(scrub('abcdefghijkl')).toBe('***')
})

test('credentials are found as the header that they become', () => {
  const header = Buffer.from(`me:${KEY}`).toString('base64')
  expect(createScrubber([`https://me:${KEY}@eth.example`])(`authorization: Basic ${header}`)).toBe(
    'authorization: Basic ***',
  )
})

test('without secrets a text stays as it is', () => {
  expect(createScrubber([])('anything')).toBe('anything')
  expect(createScrubber(['https://eth.example', 'https://eth.example/'])('https://eth.example/')).toBe(
    'https://eth.example/',
  )
})

const key = fc.string({
  unit: fc.constantFrom(...'abcdefghijkmnpqrstuvwxyzABCDEFGH0123456789-_'.split('')),
  minLength: 16,
  maxLength: 64,
})
const places: readonly ((key: string) => string)[] = [
  one => `https://eth.example/${one}`,
  one => `https://eth.example/v2/${one}/`,
  one => `wss://eth.example:443/ws/v3/${one}?x=1`,
  one => `https://eth.example/rpc?apikey=${one}`,
  one => `https://eth.example/rpc?a=b&key=${one}#top`,
  one => `https://user:${one}@eth.example/rpc`,
  one => `https://${one}@eth.example`,
  one => `postgres://app:${one}@db:5432/linkdao?sslmode=require`,
  one => `postgres://db/linkdao?user=app&password=${one}`,
  one => `https://eth.example/#${one}`,
]

test('an API key survives in no text, wherever it stands in its URL and whatever surrounds it', () => {
  const property = fc.property(
    key,
    fc.nat(places.length - 1),
    fc.array(fc.string(), { maxLength: 5 }),
    (secret, place, around) => {
      const url = places[place]?.(secret) ?? ''
      const scrub = createScrubber([url])
      const pieces = [
        secret,
        url,
        JSON.stringify({ url }),
        secret.slice(1) + secret,
        `/${secret}`,
        encodeURIComponent(url),
      ]
      const text = pieces.map((piece, i) => `${around[i] ?? ''}${piece}`).join('')
      expect(scrub(text)).not.toContain(secret)
      expect(displayUrl(url)).not.toContain(secret)
    },
  )
  fc.assert(property, { seed: 1, numRuns: 500 })
})

test('a password of any characters survives in no spelling: encoded, decoded, in JSON', () => {
  // The mask's own character can't be told from the mask.
  const password = fc
    .string({ unit: 'grapheme', minLength: 8, maxLength: 40 })
    .filter(text => !text.includes('*') && text.trim() === text && /[^\d]/.test(text) && text.isWellFormed())
  const property = fc.property(password, fc.string(), (secret, around) => {
    const encoded = encodeURIComponent(secret)
    const scrub = createScrubber([`postgres://app:${encoded}@db/linkdao`, `https://eth.example/?key=${encoded}`])
    const lowerCased = encoded.replace(/%[0-9A-F]{2}/g, code => code.toLowerCase())
    const form = new URLSearchParams({ key: secret }).toString().slice('key='.length)
    for (const spelling of [secret, encoded, lowerCased, form, JSON.stringify(secret).slice(1, -1)]) {
      expect(scrub(`${around}${spelling}${around}`)).not.toContain(spelling)
    }
  })
  fc.assert(property, { seed: 1, numRuns: 500 })
})

test('a text without any secret is not changed', () => {
  const scrub = createScrubber([`https://eth.example/v2/${KEY}`, `postgres://app:${KEY}@db:5432/linkdao`])
  const property = fc.property(fc.string({ unit: 'grapheme' }), text => {
    expect(scrub(text)).toBe(text)
  })
  fc.assert(property, { seed: 1 })
})
