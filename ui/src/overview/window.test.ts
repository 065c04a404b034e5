import { expect, test } from 'vitest'
import { readOverviewSearch } from './window'

test.each([
  [15, { minutes: 15 }], ['60', { minutes: 60 }], [5, {}], [undefined, {}], ['', {}], [7, {}], ['x', {}], [null, {}],
])('minutes=%j', (minutes, search) => expect(readOverviewSearch({ minutes })).toEqual(search))
