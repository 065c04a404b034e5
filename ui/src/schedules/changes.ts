import { useMutation, useQueryClient } from '@tanstack/react-query'
import { answered, api } from '../api/client'
import type { components } from '../api/schema'
import { failed, say } from '../parts/toasting'
import { texts } from '../texts'
import type { Schedule } from './wish'

const t = texts.schedules

type List = components['schemas']['ScheduleList']

export const LIST = ['schedules'] as const

const at = (schedule: Schedule) => ({ params: { path: { queue: schedule.queue }, query: { id: schedule.id } } })

/** What may be done to a schedule. Pausing is shown at once and can be undone. */
export function useScheduleChanges() {
  const queries = useQueryClient()
  const again = () => queries.invalidateQueries({ queryKey: LIST })

  const pause = useMutation({
    mutationFn: ({ schedule, paused }: { schedule: Schedule; paused: boolean }) =>
      paused
        ? answered(api.POST('/api/v1/queues/{queue}/schedule/pause', at(schedule)))
        : answered(api.POST('/api/v1/queues/{queue}/schedule/resume', at(schedule))),
    onMutate: async ({ schedule, paused }) => {
      await queries.cancelQueries({ queryKey: LIST })
      queries.setQueryData<List>(LIST, (list) =>
        list && {
          ...list,
          schedules: list.schedules.map((one) => (one.queue === schedule.queue && one.id === schedule.id ? { ...one, paused } : one)),
        },
      )
    },
    onSuccess: (_, { schedule, paused }) =>
      say(t.wasPaused(schedule.id, paused), (): unknown => pause.mutate({ schedule, paused: !paused })),
    onError: (error, { schedule, paused }) =>
      failed(t.notPaused(schedule.id, paused), error),
    onSettled: again,
  })

  const run = useMutation({
    mutationFn: (schedule: Schedule) => answered(api.POST('/api/v1/queues/{queue}/schedule/run', at(schedule))),
    onSuccess: ({ jobId, queue }) => say(t.ran(jobId, queue)),
    onError: (error, schedule) => failed(t.notRun(schedule.id), error),
    onSettled: again,
  })

  const remove = useMutation({
    mutationFn: (schedule: Schedule) => answered(api.DELETE('/api/v1/queues/{queue}/schedule', at(schedule))),
    onSuccess: (_, schedule) => say(t.removed(schedule.id)),
    onError: (error, schedule) => failed(t.notRemoved(schedule.id), error),
    onSettled: again,
  })

  return { pause, run, remove }
}
