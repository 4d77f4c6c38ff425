import type { Address } from '../core/types.ts'
import type { CommandInput, ExitCode } from './command.ts'

export type VerifyOptions = {
  readonly chain: string
  readonly fromBlock: number
  readonly toBlock: number
  readonly wallets: readonly Address[]
  readonly repair: boolean
}

export async function runVerify(_input: CommandInput, _options: VerifyOptions): Promise<ExitCode> {
  return 0
}
