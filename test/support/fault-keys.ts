/**
 * The secrets of an endpoint's URL, as providers have them: in its path, in its query and as credentials; and the texts in which
 * providers repeat them.
 *
 * Always holds: the same name gives the same keys; a key is no word and no hash, so that whatever contains a piece of it leaks it.
 */
import { createHash } from 'node:crypto'

export type Keys = {
  readonly user: string
  readonly password: string
  readonly path: string
  readonly query: string
}

const KEY_LENGTH = 28

export function makeKeys(name: string): Keys {
  const key = (what: string) =>
    createHash('sha256').update(`${what} of ${name}`).digest('base64').replaceAll(/[+/=]/g, 'Q').slice(0, KEY_LENGTH)
  return { user: key('user'), password: key('password'), path: key('path'), query: key('query') }
}

/** @param origin scheme, host and port */
export function keyedUrl(origin: string, keys: Keys): string {
  const url = new URL(`${origin}${keyedPath(keys)}`)
  url.username = keys.user
  url.password = keys.password
  return url.href
}

/** What a server sees of it, besides the header that the credentials became. */
export function keyedPath({ path, query }: Keys): string {
  return `/v2/${path}?apikey=${query}`
}

/** The credentials as a client sends them (RFC 7617). */
export function authorizationOf({ user, password }: Keys): string {
  return Buffer.from(`${user}:${password}`).toString('base64')
}

/** A page of a provider or of what stands in front of it. */
export function errorPage(keys: Keys, title: string): string {
  return `<!doctype html><html><head><title>${title}</title></head><body><pre>Cannot POST ${keyedPath(keys)}</pre>
<p>Authorization: Basic ${authorizationOf(keys)}</p><p>${keyedUrl('https://node.example', keys)}</p></body></html>`
}

/** A sentence of a provider. */
export function complaint(keys: Keys, what: string): string {
  return `${what}: project ${keys.path}, key ${keys.query}, ${keyedUrl('https://node.example', keys)}`
}
