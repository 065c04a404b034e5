import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import type { components } from '../api/schema'
import { count, duration } from '../format'
import { pauseGroup, readGroups, resumeGroup } from '../jobs/api'
import { ActButton } from '../parts/ActButton'
import { Dialog } from '../parts/Dialog'
import { Icon } from '../parts/Icon'
import { useMay } from '../api/session'
import { useAct } from '../parts/useAct'
import { useEvery } from '../parts/useEvery'
import { texts } from '../texts'
import { Section } from './Section'

const t = texts.queue

/** Groups in the rail, those with the most jobs; a dialog has the others. */
const SHOWN = 4

type Group = components['schemas']['GroupRow']

/** Who shares the queue, and a pause for each; nothing where jobs have no groups. */
export function Groups({ queue }: { queue: string }) {
  const page = useQuery({ queryKey: ['groups', queue], queryFn: () => readGroups(queue), refetchInterval: useEvery(5_000) })
  const [all, setAll] = useState(false)
  if (!page.data || (page.data.groups.length === 0 && page.data.locks === 0)) return null
  const { groups, locks, more } = page.data
  const rest = groups.length > SHOWN && (
    <button className="bare link small" onClick={() => setAll(true)}>
      {t.allGroups(`${count(groups.length)}${more ? '+' : ''}`)}
    </button>
  )
  return (
    <Section title={t.groups} right={rest}>
      <List queue={queue} groups={groups.slice(0, SHOWN)} />
      {locks > 0 && (
        <dl className="kv">
          <dt>{t.locks}</dt>
          <dd>{t.locksHeld(count(locks))}</dd>
        </dl>
      )}
      {all && (
        <Dialog title={t.groupsOf(queue)} onClose={() => setAll(false)}>
          <List queue={queue} groups={groups} onLeave={() => setAll(false)} />
          {more && <p className="small quiet">{t.moreGroups}</p>}
        </Dialog>
      )}
    </Section>
  )
}

function List({ queue, groups, onLeave }: { queue: string; groups: Group[]; onLeave?: () => void }) {
  const may = useMay('operate')
  const { act, busy } = useAct()
  return (
    <ul className="side-list groups">
      {groups.map((one) => {
        const turn = one.paused ? t.resumeGroup(one.group) : t.pauseGroup(one.group)
        return (
          <li key={one.group}>
            <Link
              className="ellipsis"
              to="/queues/$queue"
              params={{ queue }}
              search={{ q: `group:${/\s/.test(one.group) ? `"${one.group}"` : one.group}` }}
              resetScroll={false}
              title={t.showGroup(one.group)}
              onClick={onLeave}
            >
              {one.group}
            </Link>
            <span className="num quiet">
              {one.paused && <b className="strong">{t.groupPaused} · </b>}
              {one.rateLimitedFor > 0 && <span className="is-limited">{t.groupLimited(duration(one.rateLimitedFor))} · </span>}
              {t.groupWaiting(count(one.waiting), count(one.active))}
            </span>
            {may && (
              <ActButton
                className="icon-btn"
                busy={busy}
                aria-label={turn}
                title={turn}
                onClick={() =>
                  act(
                    one.paused
                      ? { run: () => resumeGroup(queue, one.group), done: t.groupRuns(one.group), undo: () => pauseGroup(queue, one.group) }
                      : { run: () => pauseGroup(queue, one.group), done: t.groupIsPaused(one.group), undo: () => resumeGroup(queue, one.group) },
                  )
                }
              >
                <Icon name={one.paused ? 'play' : 'pause'} />
              </ActButton>
            )}
          </li>
        )
      })}
    </ul>
  )
}
