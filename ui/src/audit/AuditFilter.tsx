import { useEffect, useState } from 'react'
import { Icon } from '../parts/Icon'
import { texts } from '../texts'
import type { AuditSearch } from './search'
import { type Area, AREAS } from './words'

const said = texts.audit

/** Typed words take effect after so long. */
const SETTLE_MS = 300

/** What the server takes. */
const LONGEST = 200

export function AuditFilter({ search, onChange }: { search: AuditSearch; onChange: (search: AuditSearch) => void }) {
  const text = search.q ?? ''
  const [typed, setTyped] = useState(text)
  const take = () => typed.trim() !== text && onChange({ ...search, q: typed.trim() || undefined })
  // The address was changed by another: a link, the way back, "clear".
  useEffect(() => setTyped((was) => (was.trim() === text ? was : text)), [text])
  useEffect(() => {
    const timer = setTimeout(take, SETTLE_MS)
    return () => clearTimeout(timer)
  }, [typed])
  return (
    <div className="filter events-filter">
      <div className="field">
        <Icon name="search" />
        <input
          id="filter"
          className="bare"
          type="search"
          maxLength={LONGEST}
          value={typed}
          spellCheck={false}
          autoComplete="off"
          aria-label={said.filter}
          placeholder={said.placeholder}
          onChange={(event) => setTyped(event.target.value)}
          onKeyDown={(event) => event.key === 'Enter' && take()}
        />
      </div>
      <label>
        <span className="sr">{said.about}</span>
        <select className="input" value={search.about ?? ''} onChange={(event) => onChange({ ...search, about: (event.target.value as Area) || undefined })}>
          <option value="">{said.everything}</option>
          {AREAS.map((area) => (
            <option key={area} value={area}>
              {said.areas[area]}
            </option>
          ))}
        </select>
      </label>
    </div>
  )
}
