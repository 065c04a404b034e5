import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { count, duration } from '../format'
import { Glyph } from '../parts/Icon'
import { texts } from '../texts'
import { FlowActions } from './FlowActions'
import { lookOf } from './NodeLabel'
import { childrenOf, type FlowNode } from './tree'

const t = texts.flows

/** What is known of the chosen job, and what can be done about its children. */
export function NodeDetail({ node, isOwn, told, redacted, off }: { node: FlowNode; isOwn: boolean; told: boolean; redacted: boolean; off: boolean }) {
  const look = lookOf(node)
  const gone = node.status === 'gone'
  const ran = node.startedAt != null && node.finishedAt != null ? node.finishedAt - node.startedAt : null
  return (
    <div className="flow-detail pad">
      <div className="head">
        <h3>
          <Glyph name={look.glyph} className={look.tone} /> <b className="strong">{node.name || t.gone}</b> <span className="mono quiet">{node.id}</span>
        </h3>
        <span className="small quiet">
          <span className={look.tone}>{look.word}</span> · {node.queue} {isOwn && <>· {t.thisJob}</>}
        </span>
        {!gone && !isOwn && (
          <Link className="link right" to="/queues/$queue/jobs/$id" params={{ queue: node.queue, id: node.id }}>
            {t.openJob}
          </Link>
        )}
      </div>
      {node.stuck && !told && (
        <p className="flow-why">
          <Glyph name="alert" className="is-failed" />{' '}
          <b className="strong">{t.inVain[node.stuck.reason]?.(node.stuck.children.length, count(node.stuck.children.length))}</b> {t.repair[node.stuck.reason]}
        </p>
      )}
      <dl className="kv">
        {gone && <Pair name={t.state}>{t.goneText}</Pair>}
        {ran !== null && <Pair name={t.ran}>{duration(ran)}</Pair>}
        {childrenOf(node) > 0 && <Pair name={t.childrenOf}>{t.counts(count(node.pending), count(node.completed), count(node.ignored), count(node.failed))}</Pair>}
        {node.parent && !gone && <Pair name={t.onFailure}>{node.onFailure ? t.policy[node.onFailure] : t.noPolicy}</Pair>}
        {node.outcome && <Pair name={t.outcome}>{t.outcomes[node.outcome]}</Pair>}
        {node.failedReason && (
          <Pair name={t.reason}>
            <span className="is-failed flow-text">{node.failedReason}</span>
          </Pair>
        )}
        {node.result !== null && (
          <Pair name={t.result}>
            <code className="flow-text">{node.result}</code>
          </Pair>
        )}
        {redacted && (node.status === 'failed' || node.status === 'completed') && (
          <Pair name={node.status === 'failed' ? t.reason : t.result}>
            <Glyph name="lock" /> <span className="quiet">{t.hidden}</span>
          </Pair>
        )}
      </dl>
      {childrenOf(node) > 0 && <FlowActions node={node} off={off} />}
    </div>
  )
}

function Pair({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  )
}
