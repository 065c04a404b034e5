import { clock } from '../format'

/** Whether what is shown is how things stand; `OldBand` says more when it is not. */
export function LiveSign({ at, error }: { at?: number; error: Error | null }) {
  return (
    <span className="live pushed" role="status">
      {error ? (
        <span className="is-failed">Not live</span>
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
