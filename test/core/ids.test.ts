/**
 * Ids are those of RFC 9562, whoever makes them: the package that verification uses gives the same.
 */

import { v5 as uuidv5 } from 'uuid'
import { expect, test } from 'vitest'
import { activityId, transactionRowId } from '../../src/store/ids.ts'
import { fc } from './support/property.ts'

const NAMESPACE = '6f0d3f4e-2c52-5b7e-9a63-1d0c8f1e7b25'

test('an activity has the UUIDv5 of its name, whatever it is called and however long', () => {
  const name = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: 'binary', minLength: 300, maxLength: 3_000 }),
  )
  fc.assert(
    fc.property(name, idName => {
      expect(activityId({ idName })).toBe(uuidv5(idName, NAMESPACE))
    }),
  )
})

test('a row of a transaction has the UUIDv5 of its hash, also after longer names', () => {
  const hash = `0x${'5a'.repeat(32)}` as const
  const before = transactionRowId(hash)
  expect(before).toBe(uuidv5(`user_transactions:${hash}`, NAMESPACE))
  activityId({ idName: 'x'.repeat(5_000) })
  expect(transactionRowId(hash)).toBe(before)
})
