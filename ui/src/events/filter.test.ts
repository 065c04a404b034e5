import { expect, test } from 'vitest'
import { parse, query, write } from './filter'

test('words become what the server is asked for', () => {
  expect(parse('queue:email kind:failed,stalled name:"two words" 184').filter).toEqual({
    queues: ['email'],
    kinds: ['failed', 'stalled'],
    name: 'two words',
    id: '184',
  })
  expect(parse('queue:a queue:b').filter.queues).toEqual(['a', 'b'])
})

test('what is still being typed asks for nothing, what is unknown is told', () => {
  expect(parse('queue:').filter).toEqual({ queues: [], kinds: [] })
  expect(parse('where:x').wrong).toEqual(['where:x'])
})

test.each([
  { queues: [], kinds: [] },
  { queues: ['a', 'b, c'], kinds: ['failed'], name: 'send mail', id: '7' },
  { queues: [], kinds: [], id: 'repeat:x:1' },
])('a filter is read as it was written: %o', (filter) => {
  expect(parse(write(filter)).filter).toEqual(filter)
})

test('the address of the stream', () => {
  expect(query({ queues: ['a', 'b'], kinds: ['failed'], id: '1' }, 'a:1-0:5').toString()).toBe(
    'queue=a&queue=b&kind=failed&id=1&after=a%3A1-0%3A5',
  )
})
