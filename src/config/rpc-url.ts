/**
 * Which texts are RPC URLs. A refused one is told by its shape only: a URL that lacks its scheme still holds its key.
 */

export const RPC_URL_EXPECTED = 'a URL with scheme http, https, ws or wss'
export const DATABASE_URL_EXPECTED = 'a URL like postgres://user:password@host:5432/database'

/** The shape of a text that is no RPC URL; undefined if it is one. */
export function rpcUrlShape(text: string): string | undefined {
  return urlShape(text, /^(?:https?|wss?):\/\//i, text)
}

/** The shape of a text that is no URL of a Postgres server (or of several: host:port,host:port); undefined if it is one. */
export function databaseUrlShape(text: string): string | undefined {
  // Several hosts are a list that only Postgres clients know: the first stands for them.
  return urlShape(text, /^postgres(?:ql)?:\/\//i, text.replace(/,[^/?#@]*(?=[/?#]|$)/, ''))
}

function urlShape(text: string, schemes: RegExp, parsable: string): string | undefined {
  const shape = `a string of ${text.length} characters`
  if (!text.includes('://')) return `${shape} without scheme`
  if (!schemes.test(text)) return `${shape} with another scheme`
  if (/\s/.test(text)) return `${shape} with a space in it`
  return URL.canParse(parsable)
    ? undefined
    : `${shape} that is no URL (are special characters of a password percent-encoded?)`
}
