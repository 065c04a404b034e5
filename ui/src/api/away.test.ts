import { QueryClient, QueryObserver } from '@tanstack/react-query'
import { afterEach, expect, test, vi } from 'vitest'
import { readAway, watchAway } from './away'
import { ProblemError } from './client'

const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } })
const endings: (() => void)[] = []
afterEach(() => endings.splice(0).forEach((end) => end()))

/** A query that is shown, and what its next answer is. */
async function shown(key: string) {
  const answer = { next: (): unknown => 'fine' }
  const observer = new QueryObserver(queries, { queryKey: [key], queryFn: async () => answer.next() })
  endings.push(observer.subscribe(() => undefined))
  await vi.waitFor(() => expect(observer.getCurrentResult().isSuccess).toBe(true))
  return { answers: (next: () => unknown) => ((answer.next = next), observer.refetch()), leave: () => endings.pop()!() }
}

function refuses(status: number) {
  return () => {
    throw new ProblemError(status, 'refused')
  }
}

test('Redis is away from the first refusal for it until that question is answered', async () => {
  endings.push(watchAway(queries.getQueryCache()))
  const [overview, settings] = [await shown('overview'), await shown('settings')]
  await overview.answers(refuses(503))
  await vi.waitFor(() => expect(readAway()).toBe(true))
  await settings.answers(() => 'needs no Redis')
  await vi.waitFor(() => expect(readAway()).toBe(true))
  await overview.answers(() => 'fine')
  await vi.waitFor(() => expect(readAway()).toBe(false))
})

test('other refusals are not its absence, and a question that nobody shows any more says nothing', async () => {
  endings.push(watchAway(queries.getQueryCache()))
  const page = await shown('page')
  await page.answers(refuses(500))
  await vi.waitFor(() => expect(readAway()).toBe(false))
  await page.answers(refuses(503))
  await vi.waitFor(() => expect(readAway()).toBe(true))
  page.leave()
  await vi.waitFor(() => expect(readAway()).toBe(false))
})
