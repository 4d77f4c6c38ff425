/**
 * Text from strangers: token names, strings in event parameters.
 *
 * Anyone can put anything there: NUL bytes (which Postgres refuses in text and jsonb), control characters, lone surrogates,
 * ten kilobytes. What is kept is short, valid and harmless to store; showing it safely is still the reader's task.
 */

/** Removes what can't be stored or would disturb a terminal, and cuts to `maxLength` UTF-16 units. */
export function cleanText(text: string, maxLength: number): string {
  return Array.from(text.slice(0, maxLength * 4).toWellFormed())
    .filter(character => !/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}]/u.test(character))
    .join('')
    .trim()
    .slice(0, maxLength)
    .toWellFormed()
}
