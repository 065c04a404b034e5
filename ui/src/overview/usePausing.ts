// Pause and resume from a row: shown at once, taken back if the server refuses, with an undo.
import { type QueryClient, useQueryClient } from '@tanstack/react-query'
import type { components } from '../api/schema'
import { pauseQueue, resumeQueue } from '../jobs/api'
import { failed, toast } from '../parts/toasting'
import { texts } from '../texts'

type Overview = components['schemas']['Overview']

/** `paused`: how it is to be. */
export type SetPaused = (queue: string, paused: boolean) => void

export function usePausing(): SetPaused {
  const client = useQueryClient()
  return (queue, paused) => void set(client, queue, paused)
}

async function set(client: QueryClient, queue: string, paused: boolean): Promise<void> {
  const say = texts.overview
  await client.cancelQueries({ queryKey: ['overview'] }) // an answer from before would flip it back
  show(client, queue, paused)
  try {
    await tell(queue, paused)
    toast({ says: paused ? say.paused(queue) : say.resumed(queue), undo: () => undo(client, queue, paused) })
  } catch (error) {
    show(client, queue, !paused)
    failed(paused ? say.notPaused(queue) : say.notResumed(queue), error)
  }
  await client.invalidateQueries()
}

async function undo(client: QueryClient, queue: string, paused: boolean): Promise<string> {
  await tell(queue, !paused)
  show(client, queue, !paused)
  void client.invalidateQueries()
  return paused ? texts.overview.resumed(queue) : texts.overview.paused(queue)
}

const tell = (queue: string, paused: boolean) => (paused ? pauseQueue(queue) : resumeQueue(queue))

function show(client: QueryClient, name: string, paused: boolean): void {
  client.setQueriesData<Overview>({ queryKey: ['overview'] }, (before) =>
    before && { ...before, queues: before.queues.map((queue) => (queue.row.queue === name ? { ...queue, row: { ...queue.row, paused } } : queue)) },
  )
}
