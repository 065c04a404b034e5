// What changed, as marks on a chart: dashed for a deploy or scaling, solid red for an alert.
import { useQuery } from '@tanstack/react-query'
import { answered, api } from '../api/client'
import type { components } from '../api/schema'
import { useEvery } from '../parts/useEvery'
import { texts } from '../texts'

export type Change = components['schemas']['ChangeRow']

export interface Mark {
  at: number
  kind: 'deploy' | 'scaling' | 'alert'
  /** Beside the line. */
  name: string
  /** On hover, and for who cannot see it. */
  says: string
}

/** More than these would hide the lines; alerts are kept first. */
const MOST = 12

export function useChanges(hours: number) {
  return useQuery({
    queryKey: ['changes', hours],
    queryFn: () => answered(api.GET('/api/v1/changes', { params: { query: { hours, count: 200 } } })),
    refetchInterval: useEvery(hours === 1 ? 5_000 : 60_000),
    placeholderData: (before) => before,
  })
}

/** Oldest first. `queue`: leave out what concerns another one; the alerts of what holds it are its own. */
export function marksOf(changes: Change[], queue?: { name: string; held: Record<string, number> }): Mark[] {
  const about = (subject: string) => !queue || subject === '' || subject === queue.name || subject.startsWith(`${queue.name}:`) || subject in queue.held
  const found: Mark[] = []
  for (const change of changes) {
    if (change.kind === 'deploy') {
      const release = change.what.split('@').at(-1)!
      found.push({ at: change.at, kind: 'deploy', name: release, says: texts.charts.deploy(release) })
    } else if (change.kind === 'scaling' && about(change.subject)) {
      const [before, after] = [change.before ?? 0, change.after ?? 0]
      found.push({ at: change.at, kind: 'scaling', name: texts.charts.workers(before, after), says: texts.charts.scaled(before, after, change.subject) })
    } else if (change.kind === 'fired' && about(change.subject)) {
      found.push({ at: change.at, kind: 'alert', name: change.what, says: texts.charts.alert(change.what, change.subject) })
    }
  }
  const kept = [...found].sort((a, b) => Number(b.kind === 'alert') - Number(a.kind === 'alert') || b.at - a.at).slice(0, MOST)
  return kept.sort((a, b) => a.at - b.at)
}

/** Which names are written, none over another: alerts first, then the newest. `from`, `to`: pixels, oldest first. */
export function named(names: { from: number; to: number; kind: Mark['kind'] }[]): boolean[] {
  const order = [...names.keys()].sort((a, b) => Number(names[b]!.kind === 'alert') - Number(names[a]!.kind === 'alert') || b - a)
  const written = new Set<number>()
  for (const n of order) {
    if ([...written].every((other) => names[n]!.to < names[other]!.from || names[n]!.from > names[other]!.to)) written.add(n)
  }
  return names.map((_, n) => written.has(n))
}
