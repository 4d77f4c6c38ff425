/**
 * How many blocks a refusal says would be answered.
 *
 * Providers name a limit ("max block range 5000", "up to a 2K block range") or a range that should do ("[0x1, 0x10]"), in the message
 * or in the data beside it. Neither is a promise: limits of a plan are quoted that do not apply, ranges come back that are the one
 * asked for, or end before they begin. So the smallest number is taken of those that make sense, and none that is not smaller than what
 * was asked. A number of results or bytes is never taken for one of blocks: the words around it must speak of blocks.
 */

/** More blocks than any chain has, or any limit would name: a number that large is something else. */
const MAX_HINT_BLOCKS = 10_000_000
/** How deep the data of an error is searched. */
const MAX_DEPTH = 3

const NUMBER = String.raw`(?<!-)(\d{1,3}(?:[.,_]\d{3})+|\d+)(k?)\b(?![.,]\d)(?! ?(?:logs|results|events|bytes|[kmg]?b|seconds|days|requests)\b)`

/** Each has one number of blocks in its first group, and a k for thousands in its second. */
const LIMITS = [
  `(?:limit(?:ed)?|up)(?: the query)? to (?:an? |at most |\\d+ - )?${NUMBER} (?:blocks?|range)`,
  `max\\w*[^.;\\d]{0,60}?(?:range|blocks|distance)[^.;\\d]{0,16}?${NUMBER}`,
  `\\b(?:range|ranges|blocks)\\b[^;]{0,80}?\\b(?:max(?:imum)?|limit)\\b[^.;\\d]{0,16}?${NUMBER}`,
  `(?:more than|over|greater than|at most|range of) ${NUMBER} (?:blocks|max)`,
  `range exceeds ${NUMBER}`,
  `smaller than size ${NUMBER}`,
  `\\(\\d+ > ${NUMBER}\\)`,
  `narrow your filter: ${NUMBER}`,
].map(source => new RegExp(source, 'gi'))

/** From and to, hexadecimal in brackets or decimal with a dash. */
const RANGES = [/\[(0x[0-9a-f]+),\s*(0x[0-9a-f]+)\]/gi, /with the range (\d+) ?- ?(\d+)/gi]

/**
 * @param askedBlocks how many blocks were asked for; null where that is not known
 * @returns a number from 1 up and smaller than that, or null where nothing sensible is said
 */
export function suggestedBlocks(text: string, data: unknown, askedBlocks: number | null): number | null {
  const most = askedBlocks === null ? MAX_HINT_BLOCKS : askedBlocks - 1
  const sensible = [...limitsOf(text), ...rangesOf(text), ...hintsOfData(data, 0)].filter(
    blocks => Number.isSafeInteger(blocks) && blocks >= 1 && blocks <= most,
  )
  return sensible.length === 0 ? null : Math.min(...sensible)
}

/** How many blocks a question for logs is about; null where an end is a name, like `latest`, or it is about one hash. */
export function blocksAsked(params: readonly unknown[]): number | null {
  const { fromBlock, toBlock } = Object(params[0]) as { fromBlock?: unknown; toBlock?: unknown }
  const blocks = spanOf(fromBlock, toBlock)
  return blocks !== null && blocks >= 1 ? blocks : null
}

function limitsOf(text: string): number[] {
  return LIMITS.flatMap(limit =>
    [...text.matchAll(limit)].map(
      ([, digits = '', thousands]) => Number(digits.replace(/[.,_]/g, '')) * (thousands ? 1000 : 1),
    ),
  )
}

function rangesOf(text: string): number[] {
  return RANGES.flatMap(range => [...text.matchAll(range)].flatMap(([, from, to]) => spanOf(from, to) ?? []))
}

/** Some say it in fields: `{ from, to }`, or a maximum. */
function hintsOfData(data: unknown, depth: number): number[] {
  if (typeof data !== 'object' || data === null || depth > MAX_DEPTH) return []
  const { from, to } = data as { from?: unknown; to?: unknown }
  const maxima = Object.entries(data).flatMap(([name, value]) =>
    /^max\w*range$/i.test(name) && typeof value === 'number' ? [value] : hintsOfData(value, depth + 1),
  )
  return [...maxima, ...[spanOf(from, to) ?? []].flat()]
}

function spanOf(from: unknown, to: unknown): number | null {
  return isNumeral(from) && isNumeral(to) ? Number(to) - Number(from) + 1 : null
}

function isNumeral(end: unknown): end is string {
  return typeof end === 'string' && /^(0x[0-9a-f]+|\d+)$/i.test(end)
}
