/** Placeholder until written. */
import type { CommandInput, ExitCode } from './command.ts'

export async function runDoctor(_input: CommandInput): Promise<ExitCode> {
  return 0
}
