/**
 * Arrays by their object ids, which are the same in every Postgres.
 *
 * Why the driver (3.4.9) is not left to ask for them: it does so on each new connection by a query of its own that nobody awaits. A
 * session that is ended in that moment rejects it, and a rejection that nobody can catch ends the process.
 *
 * One dimension only: nothing here has more.
 */

const NAME = 1003
const TEXT_LIKE = [NAME, 1009, 1015, 1016, 1231, 2951] // name, text, varchar, int8, numeric, uuid: read as text
const NUMBERS = [1005, 1007, 1022] // int2, int4, float8
const BOOLEANS = [1000]

const ELEMENT = /"((?:[^"\\]|\\.)*)"|([^,{}"]+)/g

type Element = string | number | bigint | boolean | null

type ArrayType = {
  readonly to: number
  readonly from: number[]
  readonly serialize: (value: unknown) => unknown
  readonly parse: (text: string) => unknown[]
}

/** For the driver's option `types`, with `fetch_types` off. */
export function arrayTypes(): Record<string, ArrayType> {
  return Object.fromEntries([
    ...TEXT_LIKE.map(oid => entry(oid, element => element)),
    ...NUMBERS.map(oid => entry(oid, Number)),
    ...BOOLEANS.map(oid => entry(oid, element => element === 't')),
  ])
}

/** As text, to be cast in SQL: the driver takes an array that begins with a boolean for one boolean. */
export function booleans(values: readonly (boolean | null)[]): (string | null)[] {
  return values.map(value => (value === null ? null : String(value)))
}

function entry(oid: number, parseElement: (element: string) => unknown): [string, ArrayType] {
  const parse = (text: string) => parseArray(text).map(element => (element === null ? null : parseElement(element)))
  return [`array_${oid}`, { to: oid, from: [oid], serialize: serializeArray, parse }]
}

/** What is no array is passed as it is: somebody wrote the literal. */
function serializeArray(value: unknown): unknown {
  return isList(value) ? `{${value.map(serializeElement).join(',')}}` : value
}

function isList(value: unknown): value is Element[] {
  return Array.isArray(value)
}

function serializeElement(element: Element): string {
  if (element === null) return 'null'
  if (typeof element !== 'string') return String(element)
  // Few have any of these, and there are a hundred thousand a second.
  if (!element.includes('"') && !element.includes('\\')) return `"${element}"`
  return `"${element.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

function parseArray(text: string): (string | null)[] {
  return Array.from(text.matchAll(ELEMENT), ([, quoted, bare]) => {
    if (quoted !== undefined) return quoted.replace(/\\(.)/gs, '$1')
    return bare === undefined || bare === 'NULL' ? null : bare
  })
}
