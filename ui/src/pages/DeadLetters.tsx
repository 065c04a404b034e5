import { useNavigate, useRouter, useSearch } from '@tanstack/react-router'
import { type ReactNode, useEffect, useState } from 'react'
import { useMay } from '../api/session'
import { useDeskActions } from '../dead/actions'
import { Bulk } from '../dead/Bulk'
import { useDesk } from '../dead/desk'
import { GroupRow } from '../dead/GroupRow'
import { byState, isOf, isOver, keyOf, sorted, STATES, type State, undoLeft } from '../dead/groups'
import { Jobs } from '../dead/Jobs'
import { Operations } from '../dead/Operations'
import { Rail } from '../dead/Rail'
import type { DeadSearch } from '../dead/search'
import { count } from '../format'
import { Icon } from '../parts/Icon'
import { PageTop } from '../parts/PageTop'
import { useDelayed } from '../parts/useDelayed'
import { useKeys } from '../shell/useKeys'
import { texts } from '../texts'

const say = texts.dead

/** So many jobs outside their groups are worth a word; fewer come and go all the time. */
const MUCH = 50

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
  const shown = state === 'operations' ? [] : sorted(groups[state], search.sort ?? 'newest')
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
      <PageTop query={desk}>{say.title}</PageTop>
      <div className="pagehead">
        <div>
          <h1>
            {say.title} {data && <span className="quiet light">{count(sum('failed'))}</span>}
          </h1>
          <p className="lead">{say.lead}</p>
        </div>
        {sum('binJobs') > 0 && (
          <div className="btn-row">
            <button className="btn" onClick={() => set({ state: 'operations' })}>
              {say.bin} <span className="quiet">{count(sum('binJobs'))}</span>
            </button>
          </div>
        )}
      </div>
      <nav className="tabs" aria-label={say.groupsLabel}>
        {STATES.map((one) => (
          <Tab key={one} search={{ ...search, state: one === 'open' ? undefined : one, group: undefined, job: undefined }} current={one === state}>
            {say.states[one]} <b>{count(groups[one].length)}</b>
          </Tab>
        ))}
        <Tab search={{ ...search, state: 'operations', group: undefined, job: undefined }} current={state === 'operations'}>
          {say.operations} <b>{count(operations.length)}</b>
          {undoable > 0 && <span className="sr">{say.undoable(undoable)}</span>}
        </Tab>
      </nav>
      <div className="filter">
        <div className="field">
          <Icon name="search" />
          {search.queue && (
            <span className="tok">
              <em>{say.queueToken}</em>
              {search.queue}
              <button className="plain" aria-label={say.allQueues} onClick={() => set({ queue: undefined })}>
                ×
              </button>
            </span>
          )}
          <input
            type="search"
            aria-label={say.filter}
            placeholder={say.filterHint}
            value={search.q ?? ''}
            onChange={(event) => set({ q: event.target.value || undefined })}
          />
        </div>
        <label>
          <span className="sr">{say.columns.queue}</span>
          <select className="input" value={search.queue ?? ''} onChange={(event) => set({ queue: event.target.value || undefined, group: undefined })}>
            <option value="">{say.allQueues}</option>
            {Object.entries(data?.queues ?? {})
              .filter(([name, standing]) => standing.failed > 0 || name === search.queue)
              .map(([name]) => (
                <option key={name}>{name}</option>
              ))}
          </select>
        </label>
        <label>
          <span className="sr">{say.sort}</span>
          <select className="input" value={search.sort ?? 'newest'} onChange={(event) => set({ sort: event.target.value === 'most' ? 'most' : undefined, group: undefined, job: undefined })}>
            <option value="newest">{say.sorts.newest}</option>
            <option value="most">{say.sorts.most}</option>
          </select>
        </label>
      </div>
      {data && sum('failed') - sum('indexed') > MUCH && (
        <div className="banner calm small" role="status">
          {say.indexing(count(sum('indexed')), count(sum('failed')))}
        </div>
      )}
      {late && <Skeleton />}
      {desk.isError && !data && <div className="empty"><h2>{say.down.title}</h2><p>{say.down.says}</p></div>}
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
                aria-label={say.selectAll}
                checked={chosen.length === shown.length}
                onChange={(event) => setSelected(new Set(event.target.checked ? shown.map(keyOf) : []))}
              />}
              <span>{say.columns.group}</span>
              <span className="hide-narrow">{say.columns.day}</span>
              <span className="num">{say.columns.jobs}</span>
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
  const kind = filtered ? 'filtered' : state === 'open' && !any ? 'all' : state
  return (
    <div className="empty">
      <h2>{say.none[kind].title}</h2>
      <p>{say.none[kind].says}</p>
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
