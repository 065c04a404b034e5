import { ProblemError } from '../api/client'
import { duration } from '../format'
import { Icon } from './Icon'
import { useNow } from './useNow'

/** Says that what is shown is old, and why; nothing while it is fresh. `at`: when it was read, this machine's time. */
export function OldBand({ at, error }: { at: number; error: Error | null }) {
  const now = useNow()
  if (!error) return null
  const down = error instanceof ProblemError && error.status === 503
  return (
    <div className={`banner ${down ? 'down' : 'stale'}`} role="alert">
      <Icon name="redis" />
      <b className="strong">{down ? 'Redis does not answer.' : 'Not up to date.'}</b>
      <span className="muted">
        {at > 0 && `Shown is how it stood ${duration(Math.max(0, now - at))} ago. `}
        {down ? 'Workers wait for it and go on by themselves; nothing can be changed until then.' : error.message}
      </span>
    </div>
  )
}
