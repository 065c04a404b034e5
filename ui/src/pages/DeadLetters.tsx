import { useNavigate, useRouter, useSearch } from '@tanstack/react-router'
import { type ReactNode, useEffect, useState } from 'react'
import { useMay } from '../api/session'
import { useDeskActions } from '../dead/actions'
import { Bulk } from '../dead/Bulk'
import { useDesk } from '../dead/desk'
import { GroupRow } from '../dead/GroupRow'
import { byState, isOf, isOver, keyOf, STATES, type State, undoLeft } from '../dead/groups'
import { Jobs } from '../dead/Jobs'
import { Operations } from '../dead/Operations'
import { Rail } from '../dead/Rail'
import { count } from '../format'
import { Icon } from '../parts/Icon'
import { PageTop } from '../parts/PageTop'
import { useDelayed } from '../parts/useDelayed'
import { useKeys } from '../shell/useKeys'
import { texts } from '../texts'

/** What the address says: which groups, and which of them is open. */
export interface DeadSearch {
  state?: State | 'operations'
  queue?: string
  q?: string
  group?: string
  job?: string
}

export function readDeadSearch(search: Record<string, unknown>): DeadSearch {
  const text = (name: string) => (search[name] === undefined || search[name] === '' ? undefined : String(search[name]))
  const state = [...STATES, 'operations' as const].find((known) => known === search['state'])
  return { state: state === 'open' ? undefined : state, queue: text('queue'), q: text('q'), group: text('group'), job: text('job') }
}

/** So many jobs outside their groups are worth a word; fewer come and go all the time. */
const MUCH = 50

const NAMES = { open: 'Open', ignored: 'Ignored', resolved: 'Resolved' } as const

export function DeadLetters(): ReactNode {
  const desk = useDesk()
  const search: DeadSearch = useSearch({ strict: false })
  const navigate = useNavigate()
  const actions = useDeskActions()
  const may = useMay('operate')
  const off = !may || desk.isError
  const late = useDelayed(desk.isPending)
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  const set = (changes: DeadSearch) => void navigate({ to: '/dead', search: { ...search, ...changes }, replace: true })

  const data = desk.data
  const now = data?.at ?? 0
  const state = search.state ?? 'open'
  const running = (data?.operations ?? []).filter((one) => !isOver(one))
  const groups = byState(data?.groups ?? [], running, search.queue ?? '', search.q ?? '')
  const shown = state === 'operations' ? [] : groups[state]
  // Without a choice it is the first, and stays so: what fails meanwhile moves nothing under the reader's eyes.
  const [first, setFirst] = useState('')
  const find = (key: string | undefined) => shown.find((group) => keyOf(group) === key)
  const open = find(search.group) ?? find(first) ?? shown[0]
  const opened = open ? keyOf(open) : ''
  useEffect(() => setFirst(opened), [opened])
  const chosen = shown.filter((group) => selected.has(keyOf(group)))
  const operations = (data?.operations ?? []).filter((one) => !search.queue || one.queue === search.queue)
  const standings = Object.entries(data?.queues ?? {}).filter(([name]) => !search.queue || name === search.queue)
  const sum = (of: 'failed' | 'indexed' | 'binJobs') => standings.reduce((all, [, standing]) => all + standing[of], 0)
  const undoable = operations.filter((one) => undoLeft(one, now, operations) > 0).length

  useKeys({
    j: shown.length > 0 && { says: texts.keys.next, run: () => step(1) },
    k: shown.length > 0 && { says: texts.keys.previous, run: () => step(-1) },
    x: may && open && { says: texts.keys.select, run: () => toggle(keyOf(open), !selected.has(keyOf(open))) },
  })

  function step(by: number) {
    const at = open ? shown.indexOf(open) + by : 0
    const next = shown[Math.max(0, Math.min(shown.length - 1, at))]
    if (next) set({ group: keyOf(next), job: undefined })
  }

  function toggle(key: string, on: boolean) {
    setSelected((before) => new Set(on ? [...before, key] : [...before].filter((one) => one !== key)))
  }

  return (
    <>
      <PageTop query={desk}>Dead letters</PageTop>
      <div className="pagehead">
        <div>
          <h1>
            Dead letters {data && <span className="quiet light">{count(sum('failed'))}</span>}
          </h1>
          <p className="lead">Jobs that spent their attempts or met an error no retry can cure.</p>
        </div>
        {sum('binJobs') > 0 && (
          <div className="btn-row">
            <button className="btn" onClick={() => set({ state: 'operations' })}>
              Undo bin <span className="quiet">{count(sum('binJobs'))}</span>
            </button>
          </div>
        )}
      </div>
      <nav className="tabs" aria-label="Groups">
        {STATES.map((one) => (
          <Tab key={one} search={{ ...search, state: one === 'open' ? undefined : one, group: undefined, job: undefined }} current={one === state}>
            {NAMES[one]} <b>{count(groups[one].length)}</b>
          </Tab>
        ))}
        <Tab search={{ ...search, state: 'operations', group: undefined, job: undefined }} current={state === 'operations'}>
          Operations <b>{count(operations.length)}</b>
          {undoable > 0 && <span className="sr">{undoable} can be undone</span>}
        </Tab>
      </nav>
      <div className="filter">
        <div className="field">
          <Icon name="search" />
          {search.queue && (
            <span className="tok">
              <em>queue:</em>
              {search.queue}
              <button className="plain" aria-label="All queues" onClick={() => set({ queue: undefined })}>
                ×
              </button>
            </span>
          )}
          <input
            type="search"
            aria-label="Filter groups"
            placeholder="error, or queue: name: where:"
            value={search.q ?? ''}
            onChange={(event) => set({ q: event.target.value || undefined })}
          />
        </div>
        <label>
          <span className="sr">Queue</span>
          <select className="input" value={search.queue ?? ''} onChange={(event) => set({ queue: event.target.value || undefined, group: undefined })}>
            <option value="">All queues</option>
            {Object.entries(data?.queues ?? {})
              .filter(([name, standing]) => standing.failed > 0 || name === search.queue)
              .map(([name]) => (
                <option key={name}>{name}</option>
              ))}
          </select>
        </label>
      </div>
      {data && sum('failed') - sum('indexed') > MUCH && (
        <div className="banner calm small" role="status">
          {count(sum('indexed'))} of {count(sum('failed'))} are in their groups; the others follow within seconds.
        </div>
      )}
      {late && <Skeleton />}
      {desk.isError && !data && <div className="empty"><h2>Nothing to show yet</h2><p>The groups appear as soon as Redis answers.</p></div>}
      {data && state === 'operations' && (
        <Operations
          operations={operations}
          groups={data.groups}
          now={now}
          onStop={off ? undefined : (operation) => void actions.stop(operation)}
          onUndo={off ? undefined : (operation) => void actions.undo(operation)}
        />
      )}
      {data && state !== 'operations' && !open && <Empty state={state} filtered={Boolean(search.q || search.queue)} any={sum('failed') > 0} />}
      {data && state !== 'operations' && open && (
        <div className="dead">
          <div>
            <div className="group heads">
              {!may ? <span /> : <input
                className={chosen.length && chosen.length < shown.length ? 'check mixed' : 'check'}
                type="checkbox"
                aria-label="Select all"
                checked={chosen.length === shown.length}
                onChange={(event) => setSelected(new Set(event.target.checked ? shown.map(keyOf) : []))}
              />}
              <span>Error, where, queue</span>
              <span className="hide-narrow">Last 24 h</span>
              <span className="num">Jobs</span>
            </div>
            <ul>
              {shown.map((group) => (
                <GroupRow
                  key={keyOf(group)}
                  group={group}
                  hours={data.hours[group.queue]?.[group.id]}
                  now={now}
                  open={group === open}
                  selected={selected.has(keyOf(group))}
                  running={running.filter((one) => isOf(one, group))}
                  onOpen={() => set({ group: keyOf(group), job: undefined })}
                  onSelect={!may ? undefined : (on) => toggle(keyOf(group), on)}
                  onStop={off ? undefined : (operation) => void actions.stop(operation)}
                />
              ))}
            </ul>
            {may && chosen.length > 0 && (
              <Bulk groups={chosen} down={desk.isError} actions={actions} onDone={() => setSelected(new Set())} />
            )}
            <Jobs key={keyOf(open)} group={open} job={search.job ?? open.sample} onJob={(job) => set({ group: keyOf(open), job })} />
          </div>
          <Rail key={keyOf(open)} group={open} job={search.job ?? ''} now={now} operations={operations} may={may} down={desk.isError} actions={actions} />
        </div>
      )}
    </>
  )
}

/** A link whose address decides nothing about `aria-current`: several tabs are the same page. */
function Tab({ search, current, children }: { search: DeadSearch; current: boolean; children: ReactNode }) {
  const router = useRouter()
  const there = { to: '/dead' as const, search }
  return (
    <a
      href={router.buildLocation(there).href}
      aria-current={current ? 'page' : undefined}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return
        event.preventDefault()
        void router.navigate(there)
      }}
    >
      {children}
    </a>
  )
}

function Empty({ state, filtered, any }: { state: State; filtered: boolean; any: boolean }) {
  const [title, text] = filtered
    ? ['No group fits', 'Take a word out of the filter, or look at another state or queue.']
    : state === 'ignored'
      ? ['No group is ignored', 'Ignore a group that needs nobody now; it comes back by itself.']
      : state === 'resolved'
        ? ['No group is resolved', 'Resolve a group when its cause is repaired; it opens again if it fails again.']
        : any
          ? ['No open group', 'What has failed is resolved or ignored.']
          : ['No dead letters', 'A job that fails for good is here, with others of its kind.']
  return (
    <div className="empty">
      <h2>{title}</h2>
      <p>{text}</p>
    </div>
  )
}

function Skeleton() {
  return (
    <ul aria-hidden="true">
      {[70, 50, 60].map((width) => (
        <li className="group" key={width}>
          <span />
          <div>
            <span className="skel" style={{ width: `${width}%` }} />
            <span className="skel" style={{ width: '40%' }} />
          </div>
        </li>
      ))}
    </ul>
  )
}
