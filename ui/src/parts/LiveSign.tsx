import { clock, duration } from '../format'
import { useNow } from './useNow'

/** Whether what is shown is how things stand: the time it was read, or since when it is old and why. */
export function LiveSign({ at, error }: { at?: number; error: Error | null }) {
  const now = useNow()
  return (
    <span className="live pushed" role="status">
      {error ? (
        <span className="is-failed">
          {error.message}
          {at != null && ` Shown: as of ${duration(Math.max(0, now - at))} ago.`}
        </span>
      ) : (
        <>
          <i />
          Live
          {at != null && <span className="quiet hide-narrow" aria-hidden="true">{clock(at)}</span>}
        </>
      )}
    </span>
  )
}
