import type { ExitCode } from './command.ts'

export async function runDemo(_input: { readonly seconds: number | null }): Promise<ExitCode> {
  return 0
}
