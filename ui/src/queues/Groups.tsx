import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { count, duration } from '../format'
import { pauseGroup, readGroups, resumeGroup } from '../jobs/api'
import { Icon } from '../parts/Icon'
import { useMay } from '../parts/session'
import { useAct } from '../parts/useAct'
import { texts } from '../texts'
import { Section } from './Section'

/** Groups in the rail; the filter finds the others. */
const SHOWN = 8

/** Who shares the queue, and a pause for each; nothing where jobs have no groups. */
export function Groups({ queue }: { queue: string }) {
  const t = texts.queue
  const page = useQuery({ queryKey: ['groups', queue], queryFn: () => readGroups(queue), refetchInterval: 5_000 })
  const may = useMay('operate')
  const { act, busy } = useAct()
  if (!page.data || (page.data.groups.length === 0 && page.data.locks === 0)) return null
  const { groups, locks, more } = page.data
  return (
    <Section title={t.groups} right={<span className="small quiet">{groups.length > 0 && `${count(groups.length)}${more ? '+' : ''}`}</span>}>
      <ul className="side-list">
        {groups.slice(0, SHOWN).map((one) => (
          <li key={one.group}>
            <Link
              className="ellipsis"
              to="/queues/$queue"
              params={{ queue }}
              search={{ q: `group:${/\s/.test(one.group) ? `"${one.group}"` : one.group}` }}
              resetScroll={false}
              title={t.showGroup(one.group)}
            >
              {one.group}
            </Link>
            {may ? (
              <button
                className="icon-btn"
                disabled={busy}
                aria-label={one.paused ? t.resumeGroup(one.group) : t.pauseGroup(one.group)}
                title={one.paused ? t.resumeGroup(one.group) : t.pauseGroup(one.group)}
                onClick={() =>
                  act(
                    one.paused
                      ? { run: () => resumeGroup(queue, one.group), done: t.groupRuns(one.group), undo: () => pauseGroup(queue, one.group) }
                      : { run: () => pauseGroup(queue, one.group), done: t.groupIsPaused(one.group), undo: () => resumeGroup(queue, one.group) },
                  )
                }
              >
                <Icon name={one.paused ? 'play' : 'pause'} />
              </button>
            ) : (
              <span />
            )}
            <span className="second">
              {t.groupWaiting(count(one.waiting), count(one.active))}
              {one.paused && <b className="strong"> · {t.groupPaused}</b>}
              {one.rateLimitedFor > 0 && <span className="is-limited"> · {t.groupLimited(duration(one.rateLimitedFor))}</span>}
            </span>
          </li>
        ))}
      </ul>
      {(more || groups.length > SHOWN) && <p className="small quiet">{t.moreGroups}</p>}
      {locks > 0 && (
        <dl className="kv">
          <dt>{t.locks}</dt>
          <dd>{t.locksHeld(count(locks))}</dd>
        </dl>
      )}
    </Section>
  )
}
