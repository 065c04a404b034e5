import { type ReactNode, useEffect, useState } from 'react'
import { ProblemError } from '../api/client'
import { clock, duration } from '../format'
import { Glyph } from './Icon'

/** What a page needs to know of its query to say how far its numbers may be trusted. */
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

/** The bar over a page, and the band below it that says when its numbers are not of now. */
export function PageTop({ title, query }: { title: string; query: Freshness }) {
  const since = useFailingSince(query)
  const shownOf = query.dataUpdatedAt / 1000
  const down = query.error instanceof ProblemError && query.error.status === 503
  return (
    <>
      <header className="topbar">
        <div className="crumbs">
          <span>{title}</span>
        </div>
        <span className="live" role="status" style={{ marginLeft: 'auto' }}>
          {since === null ? (
            <>
              <i />
              Live
            </>
          ) : (
            <span className="is-failed">{down ? 'Redis does not answer' : 'Not live'}</span>
          )}
        </span>
        {shownOf > 0 && <span className="quiet small hide-narrow">{clock(shownOf)}</span>}
      </header>
      {since !== null && down && (
        <div className="banner down">
          <Glyph name="failed" className="is-failed" />
          <span>
            <b className="strong">Redis does not answer since {clock(since)}.</b>{' '}
            <span className="muted">
              Workers wait and resume by themselves.{' '}
              {shownOf > 0 && `Shown: the state of ${clock(shownOf)}. Actions are off.`}
            </span>
          </span>
        </div>
      )}
      {since !== null && !down && (
        <div className="banner stale">
          <Glyph name="delayed" className="is-limited" />
          <span>
            <b className="strong">{shownOf > 0 ? `Numbers are ${duration(Date.now() / 1000 - shownOf)} old.` : 'Nothing to show.'}</b>{' '}
            <span className="muted">{query.error?.message}</span>
          </span>
          <span className="right">
            <button className="btn sm" onClick={() => void query.refetch()}>
              Try now
            </button>
          </span>
        </div>
      )}
    </>
  )
}

/** Its children once the wait has been long enough to be noticed. */
export function Late({ children, ms = 150 }: { children: ReactNode; ms?: number }) {
  const [shown, setShown] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setShown(true), ms)
    return () => clearTimeout(timer)
  }, [ms])
  return shown ? children : null
}

/** The outline of rows to come. */
export function SkeletonRows({ rows = 5 }: { rows?: number }) {
  return (
    <Late>
      <div aria-busy="true" aria-label="Loading">
        {Array.from({ length: rows }, (_, at) => (
          <div key={at} className="skel-row">
            <span className="skel" style={{ width: '30%' }} />
            <span className="skel" style={{ width: '12%' }} />
            <span className="skel" style={{ width: '18%' }} />
          </div>
        ))}
      </div>
    </Late>
  )
}
