/**
 * What is wrong with a configuration, collected until everything was looked at and then told at once.
 *
 * Always holds: a problem says where it is, the shape of what was found and what is expected. It shows text of the
 * configuration only where the one who reports it knows that no secret can stand there (names inside an event rule);
 * everything else is told by its shape, because a key pasted into the wrong variable must not reach a log either.
 */

import type { z } from 'zod'
import { AppError } from '../errors.ts'

const SHOWN_LENGTH = 160

export type Problem = {
  /** A variable, or a file and the path of the field. */
  readonly where: string
  /** The shape of what was found. */
  readonly found: string
  readonly expected: string
}

type Issue = z.core.$ZodIssue

/** Throws CONFIG_INVALID with every problem, one line each; returns if there is none. */
export function refuseProblems(problems: readonly Problem[]): void {
  const lines = [...new Set(problems.map(({ where, found, expected }) => `${where}: ${found}; expected ${expected}`))]
  if (lines.length === 0) return
  const count = lines.length === 1 ? 'a problem' : `${lines.length} problems`
  throw new AppError('CONFIG_INVALID', `The configuration has ${count}:\n  ${lines.join('\n  ')}\n`, {
    hint: 'Every variable is explained in .env.example, every field of a chain file in chains/schema.json.',
  })
}

/** A value without its content: "a string of 43 characters". Numbers and truth values are shown, they are no secrets. */
export function shapeOf(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (typeof value === 'string') return value === '' ? 'an empty string' : `a string of ${value.length} characters`
  if (typeof value === 'number') return `the number ${value}`
  if (typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return `an array of ${value.length} items`
  return 'an object'
}

/** Text that is known to be no secret, quoted and short enough for one line. */
export function quote(text: string): string {
  return JSON.stringify(text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}…` : text)
}

/**
 * The problems that zod found in `input`. The messages of our schemas are the expectations; the shapes are taken from the
 * input, or from `params.found` of an issue that knows better.
 */
export function problemsOf(issues: readonly Issue[], input: unknown, whereOf: (path: string) => string): Problem[] {
  return issues.flatMap((issue): Problem[] => {
    const value = valueAt(input, issue.path)
    const where = whereOf(pathText(issue.path))
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map(key => ({
        where: whereOf(pathText([...issue.path, key])),
        found: 'an unknown field',
        expected: 'only the fields of chains/schema.json',
      }))
    }
    if (issue.code === 'invalid_union') {
      const meant = meantBranch(issue.errors)
      if (meant !== undefined) {
        const inner = meant.map(one => ({ ...one, path: [...issue.path, ...one.path] }))
        return problemsOf(inner, input, whereOf)
      }
    }
    const found: unknown = issue.code === 'custom' ? issue.params?.['found'] : undefined
    return [{ where, found: typeof found === 'string' ? found : shapeOf(value), expected: issue.message }]
  })
}

/** The member of a union that the value was meant to be: the one that fails inside, not by its type. */
function meantBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  return branches.find(issues => issues.every(({ code, path }) => path.length > 0 || code === 'unrecognized_keys'))
}

/** `contracts[0].events[1].event` */
function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i === 0 ? '' : '.'}${String(part)}`))
    .join('')
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input
  for (const part of path) value = fieldOf(value, part)
  return value
}

/** A field of something that may be anything: undefined where there is none. */
export function fieldOf(value: unknown, field: PropertyKey): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, field)) return undefined
  return (value as Readonly<Record<PropertyKey, unknown>>)[field]
}

/** The items of something that may be anything: none where it is no array. */
export function itemsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
