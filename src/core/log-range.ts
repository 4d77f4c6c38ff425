export type LogRange = { readonly blocks: number }
export const initialLogRange = (maxBlocks: number): LogRange => ({ blocks: Math.min(100, maxBlocks) })
export const growRange = (range: LogRange, _a: { blocks: number; logs: number; tookMs: number }): LogRange => range
export const shrinkRange = (range: LogRange, _r: { blocks: number; suggestedBlocks: number | null }): LogRange => ({
  blocks: Math.max(1, range.blocks >> 1),
})
