import { Glyph } from '../parts/Icon'
import { texts } from '../texts'
import { stateOf } from './states'

export function StatePill({ status, held, cancelling = false }: { status: string; held?: string | null; cancelling?: boolean }) {
  const state = stateOf(status)
  return (
    <>
      <span className={`pill ${state.tone}`}>
        <Glyph name={state.glyph} />
        {status === 'failed' ? texts.job.failed : state.name}
      </span>
      {held && (
        <span className="pill failed">
          <Glyph name="held" />
          {texts.job.held}
        </span>
      )}
      {cancelling && (
        <span className="pill failed">
          <Glyph name="failed" />
          {texts.job.cancelling}
        </span>
      )}
    </>
  )
}
