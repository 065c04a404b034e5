import { useState } from 'react'
import { count } from '../format'
import { called } from '../overview/providers'
import { ActButton } from '../parts/ActButton'
import { Glyph, Icon } from '../parts/Icon'
import type { Pace } from './actions'
import { type Breaker, PACES, takes } from './groups'
import { texts } from '../texts'

const say = texts.dead

interface Props {
  jobs: number
  queue: string
  breaker: Breaker | null
  disabled: boolean
  onRetry: (pace: Pace) => void
}

const TEN = PACES.indexOf(10)

/** At which pace and when a group runs again, and what that means, before it begins. */
export function Retry({ jobs, queue, breaker, disabled, onRetry }: Props) {
  const [step, setStep] = useState(TEN)
  const [chosen, setChosen] = useState<'now' | 'closed' | null>(null)
  const rate = PACES[step] ?? null
  const waits = breaker !== null && chosen !== 'now'
  const pace = rate === null ? say.noLimit : say.perSecond(rate)
  return (
    <>
      {breaker && (
        <p className="held-says">
          <span className="is-failed strong">
            <Glyph name="held" /> {say.breakerOpen(called(breaker.name))}
          </span>{' '}
          {say.onlyHeld}
        </p>
      )}
      <div className="field-row">
        <label htmlFor="pace">{say.speed}</label>
        <div className="pace">
          <input
            id="pace"
            type="range"
            min="0"
            max={PACES.length}
            value={step}
            aria-valuetext={pace}
            onChange={(event) => setStep(Number(event.target.value))}
          />
          <span className="num strong">{pace}</span>
        </div>
        {breaker && (
          <>
            <label htmlFor="start">{say.start}</label>
            <select id="start" className="input" value={waits ? 'closed' : 'now'} onChange={(event) => setChosen(event.target.value as 'now' | 'closed')}>
              <option value="closed">{say.whenCloses(called(breaker.name))}</option>
              <option value="now">{say.now}</option>
            </select>
          </>
        )}
      </div>
      <p className="note-box dry-run">
        {say.dryRun(count(jobs), jobs === 1, queue, waits, takes(jobs, rate))}
      </p>
      <ActButton
        className="btn primary wide"
        disabled={disabled || jobs === 0}
        onClick={() => onRetry({ rate, breaker: waits ? breaker.name : '' })}
      >
        <Icon name="retry" />
        {waits ? say.retryWhenCloses(count(jobs)) : say.retryMany(count(jobs))}
      </ActButton>
    </>
  )
}
