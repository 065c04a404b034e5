import { useQuery } from '@tanstack/react-query'
import { ALERTS } from '../alerts/actions'
import { firing } from '../alerts/alerts'
import { answered, api } from '../api/client'
import { count } from '../format'
import { useOverview } from '../pages/Overview'
import { useEvery } from '../parts/useEvery'
import { condition } from '../queues/trouble'

export interface Count {
  says: string
  /** Somebody should look. */
  bad: boolean
}

/** Numbers beside the pages' names, by the key of the page. */
export function useCounts(): Record<string, Count | undefined> {
  const overview = useOverview(10_000).data
  const alerts = useQuery({ queryKey: ALERTS, queryFn: () => answered(api.GET('/api/v1/alerts')), refetchInterval: useEvery(15_000) }).data
  const dead = overview?.queues.reduce((all, { row }) => all + (row.states['failed'] ?? 0), 0)
  const fires = alerts ? firing(alerts.alerts) : 0
  return {
    q: overview && { says: count(overview.queues.length), bad: overview.queues.some((queue) => condition(queue).level === 'trouble') },
    d: dead === undefined ? undefined : { says: count(dead), bad: dead > 0 },
    w: overview && { says: count(overview.workers), bad: false },
    a: fires > 0 ? { says: count(fires), bad: true } : undefined,
  }
}
