import { useQuery } from '@tanstack/react-query'
import { answered, api } from '../api/client'
import type { components } from '../api/schema'
import { Glyph, type GlyphName } from '../parts/Icon'
import { Time } from '../parts/Time'
import { useEvery } from '../parts/useEvery'
import { texts } from '../texts'

const words = texts.workers

type Decision = components['schemas']['ScalingDecision']

const OBSTACLE_GLYPHS: Record<string, GlyphName> = { '': 'scaled', held: 'held', cooldown: 'paused', frozen: 'lock', 'rate limit': 'limited' }

/** How supervisors scaled, newest first, each with its reason. */
export function Decisions() {
  const page = useQuery({
    queryKey: ['scaling'],
    queryFn: () => answered(api.GET('/api/v1/scaling/decisions', { params: { query: { count: 20 } } })),
    refetchInterval: useEvery(5_000),
  })
  const decisions = page.data?.decisions
  return (
    <section className="side">
      <div className="head">
        <h2>{words.decisions}</h2>
        <span className="small quiet">{words.newestFirst}</span>
      </div>
      {decisions?.length === 0 ? (
        <p className="muted">
          {words.noDecision} <code>{words.processes}</code> {words.followsLoad}
        </p>
      ) : (
        <ul className="ledger">
          {decisions?.map((decision) => (
            <Row key={`${decision.at} ${decision.host} ${decision.pid}`} decision={decision} />
          ))}
        </ul>
      )}
    </section>
  )
}

function Row({ decision }: { decision: Decision }) {
  const { before, after, obstacle, queue, reason, host } = decision
  const said = before === after ? words.stays(after) : words.from(before, after)
  return (
    <li>
      <Time at={decision.at ?? 0} />
      <Glyph name={OBSTACLE_GLYPHS[obstacle] ?? 'calm'} className={obstacle === 'held' ? 'is-failed' : ''} />
      <span>
        {said} <span className="quiet">{words.onHost(host, obstacle)}</span>
        <span className="second">{words.because(queue, reason)}</span>
      </span>
    </li>
  )
}
