import { type KeyboardEvent, useEffect, useId, useMemo, useState } from 'react'
import { Dialog } from '../parts/Dialog'
import { Icon } from '../parts/Icon'
import { texts } from '../texts'
import { Caps } from './Caps'
import { ranked, used } from './matching'
import { lay } from './overlay'
import { readRecent, writeRecent } from './recent'
import { type Entry, useEntries, useFoundJobs, useFurther, useRecentJobs } from './useEntries'

const said = texts.shell.palette

const HINTS = [
  { keys: ['↑', '↓'], says: said.move },
  { keys: ['Enter'], says: said.choose },
  { keys: ['Esc'], says: said.leave },
]

interface Section {
  title: string
  entries: Entry[]
}

/** Goes to any page, queue, job, worker, schedule or group, and does what can be done in a word. */
export function Palette() {
  const [query, setQuery] = useState('')
  const [at, setAt] = useState(0)
  const [recent] = useState(readRecent)
  const list = useId()
  const entries = useEntries()
  const { jobs, looking } = useFoundJobs(query)
  const lately = useRecentJobs(recent)
  const further = useFurther(query)
  const sections = useMemo(
    () => (query.trim() === '' ? unasked(entries, lately, recent) : [{ title: '', entries: [...ranked(entries, query, recent, jobs), ...further] }]),
    [entries, lately, recent, query, jobs, further],
  )
  const all = sections.flatMap((section) => section.entries)
  const cursor = Math.min(at, all.length - 1)
  const current = all[cursor]
  const fits = all.length - further.length
  useEffect(() => setAt(0), [query])
  useEffect(() => {
    if (current) document.getElementById(optionId(list, current))?.scrollIntoView({ block: 'nearest' })
  }, [current?.id, list])

  function choose(entry: Entry | undefined) {
    if (!entry) return
    if (entry.kind !== 'here' && !entry.id.startsWith('further:')) writeRecent(used(recent, entry.id))
    lay(null)
    entry.run()
  }

  function onKeyDown(event: KeyboardEvent) {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key]
    if (by !== undefined && all.length > 0) {
      event.preventDefault()
      const next = cursor + by
      // The arrows go round, pages stop at the ends.
      setAt(Math.abs(by) === 1 ? (next + all.length) % all.length : Math.max(0, Math.min(all.length - 1, next)))
    } else if (event.key === 'Enter') {
      event.preventDefault()
      choose(current)
    }
  }

  return (
    <Dialog title={said.title} look="palette" onClose={() => lay(null)}>
      <div className="palette-field">
        <Icon name="search" />
        <input
          autoFocus
          role="combobox"
          aria-expanded="true"
          aria-controls={list}
          aria-autocomplete="list"
          aria-activedescendant={current ? optionId(list, current) : undefined}
          aria-label={said.title}
          placeholder={said.placeholder}
          autoComplete="off"
          spellCheck={false}
          value={query}
          onChange={(event) => setQuery(event.target.value)}
          onKeyDown={onKeyDown}
        />
        <button className="icon-btn only-narrow" aria-label={texts.parts.close} title={texts.parts.close} onClick={() => lay(null)}>
          <Icon name="close" />
        </button>
      </div>
      <div className="palette-list" id={list} role="listbox" aria-label={said.title}>
        {sections.map((section) => (
          <div key={section.title} role="group" aria-label={section.title || said.title}>
            {section.title && (
              <div className="label" aria-hidden="true">
                {section.title}
              </div>
            )}
            {section.entries.map((entry) => (
              <Option key={entry.id} id={optionId(list, entry)} entry={entry} on={entry === current} onPoint={() => setAt(all.indexOf(entry))} onChoose={() => choose(entry)} />
            ))}
          </div>
        ))}
      </div>
      {query.trim() !== '' && fits === 0 && (
        <p className="palette-none">
          {looking ? said.looking : said.nothing(query.trim())} <span className="quiet">{!looking && said.nothingHint}</span>
        </p>
      )}
      <p className="sr" role="status">
        {query.trim() !== '' && !looking && said.results(fits)}
      </p>
      <p className="palette-foot" aria-hidden="true">
        {HINTS.map(({ keys, says }) => (
          <span key={says}>
            {keys.map((key) => (
              <kbd key={key}>{key}</kbd>
            ))}{' '}
            {says}
          </span>
        ))}
      </p>
    </Dialog>
  )
}

const optionId = (list: string, entry: Entry) => `${list}-${entry.id.replace(/[^\w-]/g, (letter) => `_${letter.codePointAt(0)}`)}`

interface OptionProps {
  id: string
  entry: Entry
  on: boolean
  onPoint: () => void
  onChoose: () => void
}

function Option({ id, entry, on, onPoint, onChoose }: OptionProps) {
  return (
    <div id={id} role="option" aria-selected={on} className="palette-option" onPointerMove={() => !on && onPoint()} onClick={onChoose}>
      <Icon name={entry.icon} />
      <span className={entry.kind === 'job' ? 'mono title' : 'title'}>{entry.title}</span>
      <span className="detail">{entry.detail}</span>
      {entry.key ? <Caps name={entry.key} /> : <span className="kind">{said.kinds[entry.kind]}</span>}
    </div>
  )
}

/** Before anything is typed: what was used lately, what this page can do, the pages. */
function unasked(entries: readonly Entry[], lately: readonly Entry[], recent: readonly string[]): Section[] {
  const known = new Map([...lately, ...entries].map((entry) => [entry.id, entry]))
  const first = recent.flatMap((id) => known.get(id) ?? []).slice(0, 5)
  const of = (kind: Entry['kind']) => entries.filter((entry) => entry.kind === kind && !first.includes(entry))
  return [
    { title: said.recent, entries: first },
    { title: said.kinds.here, entries: of('here') },
    { title: texts.keys.goTo, entries: of('page') },
    { title: texts.shell.places.queues, entries: of('queue').slice(0, 8) },
    { title: said.commands, entries: of('command').slice(0, 3) },
  ].filter((section) => section.entries.length > 0)
}
