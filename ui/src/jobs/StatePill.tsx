import { Glyph } from '../parts/Icon'
import { stateOf } from './states'

export function StatePill({ status, held }: { status: string; held?: string | null }) {
  const state = stateOf(status)
  return (
    <>
      <span className={`pill ${state.tone}`}>
        <Glyph name={state.glyph} />
        {status === 'failed' ? 'Failed' : state.name}
      </span>
      {held && (
        <span className="pill failed">
          <Glyph name="held" />
          Held
        </span>
      )}
    </>
  )
}
