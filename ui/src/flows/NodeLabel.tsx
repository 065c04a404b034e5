import { count } from '../format'
import { stateOf } from '../jobs/states'
import { Glyph, type GlyphName } from '../parts/Icon'
import { texts } from '../texts'
import { childrenOf, type FlowNode } from './tree'

const t = texts.flows

interface Look {
  glyph: GlyphName
  tone: string
  word: string
}

/** The sign of a job of a flow; of a stuck one and one whose failure was survived too. */
export function lookOf(node: FlowNode): Look {
  if (node.status === 'gone') return { glyph: 'next', tone: 'quiet', word: t.gone }
  const state = stateOf(node.status)
  const word = node.status === 'failed' ? t.failed : node.status === 'waiting-children' ? t.waits : state.name
  if (node.stuck) return { glyph: 'alert', tone: 'is-failed', word: t.stuckWord }
  if (node.status === 'failed' && node.outcome === 'ignored') return { glyph: 'failed', tone: 'is-limited', word: t.ignoredWord }
  return { glyph: state.glyph, tone: state.tone === 'failed' ? 'is-failed' : `is-${state.tone}`, word }
}

const doneOf = (node: FlowNode) => t.ofChildren(count(node.completed + node.ignored), count(childrenOf(node)))

export function NodeLabel({ node }: { node: FlowNode }) {
  const look = lookOf(node)
  return (
    <>
      <Glyph name={look.glyph} className={look.tone} />
      <span className="ellipsis">
        <b className="strong">{node.name || node.id}</b> <span className="quiet small">{node.queue}</span>
      </span>
      <span className="small nowrap">
        <span className={look.tone}>{look.word}</span> {childrenOf(node) > 0 && <span className="quiet">{doneOf(node)}</span>}
      </span>
      <span className="second mono ellipsis" title={node.id}>
        {node.id}
      </span>
    </>
  )
}
