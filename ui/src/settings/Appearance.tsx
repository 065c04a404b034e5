import { useState } from 'react'
import { clock } from '../format'
import { useNow } from '../parts/useNow'
import { zones } from '../schedules/wish'
import { texts } from '../texts'
import { apply, type Density, keep, type Preferences, readPreferences, type Theme } from './preferences'

const t = texts.settings

export function Appearance() {
  const [chosen, setChosen] = useState(readPreferences)
  const now = useNow()
  const set = (part: Partial<Preferences>) => {
    const next = { ...chosen, ...part }
    keep(next)
    apply(next)
    setChosen(next)
  }
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone
  return (
    <>
      <p className="pad head small quiet">{t.appearanceLead}</p>
      <dl className="kv pad appearance">
        <Choice<Theme> label={t.theme} names={t.themes} value={chosen.theme} onChoose={(theme) => set({ theme })} />
        <Choice<Density> label={t.density} names={t.densities} value={chosen.density} onChoose={(density) => set({ density })} />
        <dt>
          <label htmlFor="zone">{t.zone}</label>
        </dt>
        <dd>
          <select id="zone" className="plain-select" value={chosen.zone} onChange={(event) => set({ zone: event.target.value })}>
            <option value="">{t.ownZone(here)}</option>
            {zones('UTC').map((zone) => (
              <option key={zone}>{zone}</option>
            ))}
          </select>
          <p className="small quiet">{t.example(clock(now, now))}</p>
        </dd>
      </dl>
    </>
  )
}

function Choice<Value extends string>({ label, names, value, onChoose }: { label: string; names: Record<Value, string>; value: Value; onChoose: (value: Value) => void }) {
  return (
    <>
      <dt id={label}>{label}</dt>
      <dd>
        <span className="choice" role="group" aria-labelledby={label}>
          {(Object.keys(names) as Value[]).map((one) => (
            <button key={one} aria-pressed={one === value} onClick={() => onChoose(one)}>
              {names[one]}
            </button>
          ))}
        </span>
      </dd>
    </>
  )
}
