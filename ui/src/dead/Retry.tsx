import { useState } from 'react'
import { count } from '../format'
import { Glyph, Icon } from '../parts/Icon'
import type { Pace } from './actions'
import { type Breaker, PACES, takes } from './groups'

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
  const pace = rate === null ? 'no limit' : `${rate}/s`
  return (
    <>
      {breaker && (
        <p className="held-says">
          <span className="is-failed strong">
            <Glyph name="held" /> {breaker.name}’s breaker is open.
          </span>{' '}
          A retry now would only be held, so it starts by itself once the breaker closes.
        </p>
      )}
      <div className="field-row">
        <label htmlFor="pace">Speed</label>
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
            <label htmlFor="start">Start</label>
            <select id="start" className="input" value={waits ? 'closed' : 'now'} onChange={(event) => setChosen(event.target.value as 'now' | 'closed')}>
              <option value="closed">When {breaker.name}’s breaker closes</option>
              <option value="now">Now</option>
            </select>
          </>
        )}
      </div>
      <p className="note-box dry-run">
        Dry run: {count(jobs)} {jobs === 1 ? 'job' : 'jobs'} to {queue}, {waits ? 'then ' : ''}done {takes(jobs, rate)}. Each is as new: its
        attempts begin again.
      </p>
      <button
        className="btn primary wide"
        disabled={disabled || jobs === 0}
        onClick={() => onRetry({ rate, breaker: waits ? breaker.name : '' })}
      >
        <Icon name="retry" />
        Retry {count(jobs)}
        {waits && ' when it closes'}
      </button>
    </>
  )
}
