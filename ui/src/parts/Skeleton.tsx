import { type ReactNode, useEffect, useState } from 'react'
import { texts } from '../texts'

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
      <div aria-busy="true" aria-label={texts.parts.loading}>
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
