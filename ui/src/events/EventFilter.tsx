import { useEffect, useState } from 'react'
import { useOverview } from '../pages/Overview'
import { Icon } from '../parts/Icon'
import { texts } from '../texts'
import { parse, write } from './filter'
import { KINDS, kindName } from './words'

const t = texts.events

/** Several are chosen in the text alone. */
const SEVERAL = '\u0000several'

export function EventFilter({ text, onChange }: { text: string; onChange: (text: string) => void }) {
  const [typed, setTyped] = useState(text)
  useEffect(() => setTyped(text), [text])
  useEffect(() => {
    if (typed === text) return
    const timer = setTimeout(() => onChange(typed), 350)
    return () => clearTimeout(timer)
  }, [typed])
  const { filter } = parse(text)
  const queues = useOverview(10_000).data?.queues.map((queue) => queue.row.queue) ?? []
  return (
    <div className="filter events-filter">
      <div className="field">
        <Icon name="search" />
        <input
          id="filter"
          className="bare mono"
          type="search"
          value={typed}
          spellCheck={false}
          autoComplete="off"
          aria-label={t.filter}
          placeholder={t.placeholder}
          onChange={(event) => setTyped(event.target.value)}
          onKeyDown={(event) => event.key === 'Enter' && onChange(typed)}
        />
      </div>
      <Select label={t.queue} all={t.allQueues} chosen={filter.queues} choices={queues.map((name) => [name, name])} onChoose={(queues) => onChange(write({ ...filter, queues }))} />
      <Select label={t.kind} all={t.allKinds} chosen={filter.kinds} choices={KINDS.map((kind) => [kind, kindName(kind)])} onChoose={(kinds) => onChange(write({ ...filter, kinds }))} />
    </div>
  )
}

interface SelectProps {
  label: string
  all: string
  chosen: string[]
  choices: [value: string, name: string][]
  onChoose: (values: string[]) => void
}

function Select({ label, all, chosen, choices, onChoose }: SelectProps) {
  const [one] = chosen
  const known = one === undefined || choices.some(([value]) => value === one) ? choices : [[one, one] as [string, string], ...choices]
  return (
    <label>
      <span className="sr">{label}</span>
      <select
        className="input"
        value={chosen.length > 1 ? SEVERAL : (one ?? '')}
        onChange={(event) => event.target.value !== SEVERAL && onChoose(event.target.value ? [event.target.value] : [])}
      >
        <option value="">{all}</option>
        {chosen.length > 1 && <option value={SEVERAL}>{t.several(chosen.length)}</option>}
        {known.map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </select>
    </label>
  )
}
