import { useEffect, useState } from 'react'
import { isAway } from '../api/client'
import { clock, duration } from '../format'
import { texts } from '../texts'
import { Glyph } from './Icon'

/** What has to be known of a query to say how far its numbers may be trusted. */
export interface Freshness {
  isError: boolean
  error: Error | null
  dataUpdatedAt: number
  errorUpdatedAt: number
  refetch: () => unknown
}

/** Since when the query fails, in epoch seconds; null while it does not. */
function useFailingSince({ isError, errorUpdatedAt }: Freshness): number | null {
  const [since, setSince] = useState<number | null>(null)
  useEffect(() => setSince((was) => (isError ? (was ?? errorUpdatedAt / 1000) : null)), [isError, errorUpdatedAt])
  return since
}

/** Says that what is shown is old, how old, and why. Nothing while answers come. */
export function Staleness({ of: query }: { of: Freshness }) {
  const since = useFailingSince(query)
  if (since === null) return null
  const shownOf = query.dataUpdatedAt / 1000
  if (isAway(query.error)) {
    return (
      <div className="banner down" role="alert">
        <Glyph name="failed" className="is-failed" />
        <span>
          <b className="strong">{texts.parts.redisSilentSince(clock(since))}</b>{' '}
          <span className="muted">
            {texts.parts.workersWait} {shownOf > 0 && texts.parts.shownOf(clock(shownOf))}
          </span>
        </span>
      </div>
    )
  }
  return (
    <div className="banner stale" role="alert">
      <Glyph name="delayed" className="is-limited" />
      <span>
        <b className="strong">{shownOf > 0 ? texts.parts.numbersOld(duration(Date.now() / 1000 - shownOf)) : texts.parts.nothingToShow}</b>{' '}
        <span className="muted">{query.error?.message}</span>
      </span>
      <span className="right">
        <button className="btn sm" onClick={() => void query.refetch()}>
          {texts.parts.tryNow}
        </button>
      </span>
    </div>
  )
}
