import { expect, test } from 'vitest'
import { summary } from './summary'

const of = (...queues: string[]) => new Map(queues.map((queue) => [queue, 'Held']))

test('what stood so when the page was opened is not news', () => {
  expect(summary(null, of('kyc'))).toBeNull()
})

test('a queue that comes into trouble is told with its reason, several with their number', () => {
  expect(summary(of(), of('kyc'))).toBe('kyc is in trouble. Held.')
  expect(summary(of('kyc'), of('kyc', 'email'))).toBe('2 queues in trouble.')
})

test('the same trouble is told once', () => {
  expect(summary(of('kyc'), new Map([['kyc', 'Behind by 62 s']]))).toBeNull()
})

test('the end of it is told, too', () => {
  expect(summary(of('kyc', 'email'), of('kyc'))).toBe('One queue is still in trouble.')
  expect(summary(of('kyc'), of())).toBe('All queues keep up again.')
})
