import { expect, test } from 'vitest'
import { ticks } from './drawing'

test('what comes whole has a whole axis', () => expect(ticks(1.15, 1)).toEqual([1]))

test.each([
  [1.15, [0.5, 1]],
  [370, [200]],
  [300, [100, 200, 300]],
  [2_500, [1_000, 2_000]],
  [69, [50]],
])('the axis of a chart up to %d has round values', (most, values) => expect(ticks(most)).toEqual(values))
