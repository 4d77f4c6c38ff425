/**
 * URLs of RPC nodes and databases hold API keys and passwords: how such a URL is shown, and how its secrets are taken out of
 * texts that others wrote (errors of libraries, answers of servers).
 *
 * Always holds: `displayUrl` gives scheme, host and port and nothing else; no text that went through a scrubber contains a
 * secret of the URLs it was made from, whether spelled as in the URL, decoded, percent-encoded or escaped as JSON.
 *
 * Why not by one regular expression for "URL": a library quotes the path without the host, a node answers with the key alone,
 * an HTTP client logs the header that the credentials became. So the scrubber looks for the parts.
 */

import type { Config } from './env.ts'

const MASK = '***'
const SHOWN_SCHEMES = new Set(['http:', 'https:', 'ws:', 'wss:', 'postgres:', 'postgresql:'])
const UNREADABLE = '(unreadable URL)'

/** Shorter parts are too common to be taken out of every text: "v2", "eth". Inside their own URL they go all the same. */
const MIN_SECRET_LENGTH = 6
/** Longer runs of digits are no block numbers or chain ids. */
const MAX_NUMBER_LENGTH = 12
/** Words that stand in URLs and in honest sentences alike. Texts of such words only, joined by - _ or ., are no keys. */
const GENERIC_WORDS = new Set(
  `api app archive arbitrum base bsc chain default devnet disable eth ethereum evm ext full gateway goerli holesky hoodi http
  https indexer json jsonrpc latest linkdao localhost main mainnet network node optimism polygon postgres postgresql prefer
  public require rpc sepolia test testnet true false user username verify v1 v2 v3 v4 websocket ws wss`.split(/\s+/),
)

const URL_PARTS = /^([a-z][a-z0-9+.-]*:\/\/)(?:([^/?#]*)@)?([^/?#@]*)([^?#]*)(\?[^#]*)?(#.*)?$/is

/** A text to look for, and the stretches of it that must not be seen. */
type Needle = { readonly text: string; readonly hidden: readonly (readonly [from: number, to: number])[] }

type UrlParts = {
  readonly scheme: string
  readonly credentials: string
  readonly host: string
  readonly path: string
  readonly query: string
  readonly fragment: string
}

/** Scheme, host and port of an RPC or database URL; a fixed text for what is no such URL. */
export function displayUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !SHOWN_SCHEMES.has(parsed.protocol)) return UNREADABLE
  // "https://user:12/34@host" parses with the password's head as the port: an @ behind the authority is not believed.
  const path = splitUrl(url)?.path
  if (path === undefined || path.includes('@')) return UNREADABLE
  return `${parsed.protocol}//${parsed.host}`
}

/** The URLs of a configuration that hold secrets. */
export function collectSecrets(config: Config): string[] {
  const database = config.database.url === null ? [] : [config.database.url]
  return [...database, ...config.chains.flatMap(chain => chain.rpcUrls)]
}

/**
 * A function that replaces every secret of the given URLs (or of bare secrets: anything that is no URL is one as a whole)
 * within a text by `***`. The name of a database is hidden only within its URL: it is a word of honest messages.
 */
export function createScrubber(secrets: readonly string[]): (text: string) => string {
  const needles = new Map<string, Needle>()
  for (const needle of secrets.flatMap(needlesOf)) {
    if (needle.hidden.length > 0) needles.set(needle.text, needle)
  }
  return text => hide(text, intervalsOf(text, [...needles.values()]))
}

/** Every stretch of the text that must not be seen, ordered and merged: secrets may overlap. */
function intervalsOf(text: string, needles: readonly Needle[]): [from: number, to: number][] {
  const found: [number, number][] = []
  for (const needle of needles) {
    for (let at = text.indexOf(needle.text); at !== -1; at = text.indexOf(needle.text, at + 1)) {
      for (const [from, to] of needle.hidden) found.push([at + from, at + to])
    }
  }
  const merged: [number, number][] = []
  for (const [from, to] of found.sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1)
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to)
    else merged.push([from, to])
  }
  return merged
}

function hide(text: string, intervals: readonly (readonly [number, number])[]): string {
  let shown = ''
  let end = 0
  for (const [from, to] of intervals) {
    shown += text.slice(end, from) + MASK
    end = to
  }
  return shown + text.slice(end)
}

function needlesOf(secret: string): Needle[] {
  const parts = splitUrl(secret)
  if (parts === undefined) return spellings(secret).map(wholly)
  const normalized = URL.canParse(secret) ? new URL(secret).href : secret
  return [secret, normalized].flatMap(url => [
    ...[url, escapeJson(url)].map(withinUrl),
    ...secretParts(splitUrl(url) ?? parts).flatMap(part => spellings(part).map(wholly)),
  ])
}

/** A URL as a whole: all of it but scheme and host is hidden, the generic parts too. */
function withinUrl(url: string): Needle {
  const parts = splitUrl(url)
  if (parts === undefined) return wholly(url)
  const { scheme, credentials, host } = parts
  const hidden: [number, number][] = []
  if (credentials !== '') hidden.push([scheme.length, scheme.length + credentials.length])
  // The character that begins the path, query or fragment stays: it shows that something was there.
  const tail = scheme.length + (credentials === '' ? 0 : credentials.length + 1) + host.length + 1
  if (tail < url.length) hidden.push([tail, url.length])
  return { text: url, hidden }
}

function wholly(text: string): Needle {
  return { text, hidden: text.length < MIN_SECRET_LENGTH ? [] : [[0, text.length]] }
}

/** The parts of a URL that are secrets wherever they stand. */
function secretParts({ scheme, credentials, path, query, fragment }: UrlParts): string[] {
  const isDatabase = scheme.toLowerCase().startsWith('postgres')
  const colon = credentials.indexOf(':')
  const login = colon === -1 ? [credentials] : [credentials.slice(0, colon), credentials.slice(colon + 1)]
  const segments = isDatabase ? [] : path.split('/')
  const values = query
    .slice(1)
    .split('&')
    .map(pair => [pair.slice(0, pair.indexOf('=') + 1), pair.slice(pair.indexOf('=') + 1)] as const)
    .filter(([name]) => !isDatabase || /pass|key|secret|token|user/i.test(name))
    .flatMap(([, value]) => [value, value.replaceAll('+', ' ')])
  const secrets = [...login.filter(isSecretLogin), ...[...segments, ...values, fragment.slice(1)].filter(isSecret)]
  // Short segments and short logins are secret together.
  if (!isDatabase && segments.some(segment => segment !== '' && !isGeneric(segment))) secrets.push(path.slice(1))
  if (colon > 0) secrets.push(credentials, ...basicAuthorizations(credentials))
  return secrets
}

/** What an HTTP client makes of credentials (RFC 7617). */
function basicAuthorizations(credentials: string): string[] {
  return [credentials, decode(credentials)].map(text => Buffer.from(text).toString('base64'))
}

function isSecret(part: string): boolean {
  return part.length >= MIN_SECRET_LENGTH && !isGeneric(part)
}

/** Stricter than for paths: people make up passwords of joined words. */
function isSecretLogin(part: string): boolean {
  return part.length >= MIN_SECRET_LENGTH && !GENERIC_WORDS.has(part.toLowerCase())
}

/** A word of honest sentences, some of them joined, or a number like a chain id. */
function isGeneric(part: string): boolean {
  if (/^\d+$/.test(part)) return part.length <= MAX_NUMBER_LENGTH
  return part
    .toLowerCase()
    .split(/[-_.]/)
    .every(word => GENERIC_WORDS.has(word))
}

/** A secret as it may be spelled: as it is, decoded, percent-encoded (either case of digits), and each within JSON. */
function spellings(secret: string): string[] {
  const decoded = decode(secret)
  const encoded = [encode(decoded), encode(secret), encodeForm(decoded)]
  const lowerCased = encoded.map(text => text.replace(/%[0-9A-F]{2}/g, code => code.toLowerCase()))
  const plain = [secret, decoded, ...encoded, ...lowerCased]
  return [...new Set([...plain, ...plain.map(escapeJson)])]
}

function splitUrl(text: string): UrlParts | undefined {
  const match = URL_PARTS.exec(text)
  if (match === null) return undefined
  const [, scheme = '', credentials = '', host = '', path = '', query = '', fragment = ''] = match
  return { scheme, credentials, host, path, query, fragment }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text // A stray % is a character like any other.
  }
}

function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}

function encodeForm(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}

function escapeJson(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}
