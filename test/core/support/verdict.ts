/**
 * The verdict on a block, and what one is compared with.
 */
import { expect } from 'vitest'
import { proveBlock, type RootsVerdict } from '../../../src/source/verification/prove.ts'
import type { Answer } from './answers.ts'

export const PROVED: RootsVerdict = { kind: 'proved' }

export async function prove({ block, receipts }: Answer): Promise<RootsVerdict> {
  return proveBlock(block, receipts)
}

/** @param problem a part of the sentence */
export function wrong(problem: string): RootsVerdict {
  return { kind: 'wrong', problem: expect.stringContaining(problem) as string }
}

/** @param reason a part of the sentence */
export function newer(reason: string): RootsVerdict {
  return { kind: 'newer', reason: expect.stringContaining(reason) as string }
}
