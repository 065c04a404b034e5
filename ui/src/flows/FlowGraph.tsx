import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from 'react'
import { count } from '../format'
import { SkeletonRows } from '../parts/Skeleton'
import { failed } from '../parts/toasting'
import { texts } from '../texts'
import { readChildren, readFlow } from './api'
import { NodeDetail } from './NodeDetail'
import { NodeLabel } from './NodeLabel'
import { drawn, fitting, type FlowNode, HEIGHT, keyOf, merged, readable, type Row, rowsOf, step, WIDTH, zoomed } from './tree'

const t = texts.flows

interface Props {
  queue: string
  id: string
  /** Why the job waits is said beside it already. */
  told?: boolean
}

/** The flow around a job, from its root: a tree to walk with the keyboard, drawn with lines where there is room. */
export function FlowGraph({ queue, id, told = false }: Props) {
  const flow = useQuery({ queryKey: ['flow', queue, id], queryFn: () => readFlow(queue, id), refetchInterval: 3_000 })
  const own = keyOf({ queue, id })
  const further = useFurther(own)
  const [chosen, setChosen] = useState(own)
  useEffect(() => setChosen(own), [own])
  const nodes = flow.data?.nodes
  const rows = useMemo(() => rowsOf(merged(nodes ?? [], further.nodes)), [nodes, further.nodes])
  if (!flow.data) return flow.isPending ? <SkeletonRows rows={3} /> : null
  const row = rows.find((one) => one.key === chosen) ?? rows.find((one) => one.key === own)
  return (
    <section className="flow" aria-label={t.flow}>
      <Canvas rows={rows} own={own} chosen={row?.key ?? own} onChoose={setChosen} onMore={(node) => void further.load(node)} busy={further.busy} cut={flow.data.cut} />
      {row && row.more === 0 && <NodeDetail node={row.node} isOwn={row.key === own} told={told && row.key === own} redacted={flow.data.redacted} off={flow.isError} />}
    </section>
  )
}

/** Children that were asked for beside those that the flow came with. */
function useFurther(of: string) {
  const [nodes, setNodes] = useState<FlowNode[]>([])
  const [busy, setBusy] = useState('')
  const cursors = useRef(new Map<string, string | null>())
  useEffect(() => {
    cursors.current.clear()
    setNodes([])
  }, [of])
  const load = async (node: FlowNode) => {
    const key = keyOf(node)
    if (busy) return
    setBusy(key)
    try {
      const page = await readChildren(node.queue, node.id, cursors.current.get(key) ?? null)
      cursors.current.set(key, page.cursor)
      setNodes((before) => merged(before, page.children))
    } catch (error) {
      failed('', error)
    } finally {
      setBusy('')
    }
  }
  return { nodes, load, busy }
}

interface CanvasProps {
  rows: Row[]
  own: string
  chosen: string
  busy: string
  cut: boolean
  onChoose: (key: string) => void
  onMore: (node: FlowNode) => void
}

function Canvas({ rows, own, chosen, busy, cut, onChoose, onMore }: CanvasProps) {
  const frame = useRef<HTMLDivElement>(null)
  const navigate = useNavigate()
  const drawing = useMemo(() => drawn(rows), [rows])
  const [zoom, setZoom] = useState<number | 'fit' | 'read'>('read')
  const size = useSize(frame)
  const scale = zoom === 'fit' ? fitting(drawing, size.width, size.height) : zoom === 'read' ? readable(drawing, size.width) : zoom
  const root = rows[0]?.node
  const element = (key: string) => frame.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)
  const act = (row: Row) => (row.more > 0 ? onMore(row.node) : void navigate({ to: '/queues/$queue/jobs/$id', params: { queue: row.node.queue, id: row.node.id } }))

  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const row = rows.find((one) => one.key === chosen)
    const next = step(rows, chosen, event.key)
    if (next !== null) {
      onChoose(next)
      element(next)?.focus()
    } else if (event.key === 'Enter' && row) act(row)
    else if (event.key === '+' || event.key === '-') setZoom(zoomed(scale, event.key === '+' ? 1 : -1))
    else if (event.key === '0') setZoom('fit')
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  return (
    <>
      <div className="head pad">
        <h2>{t.flow}</h2>
        <span className="small quiet">
          {t.jobs(count(rows.filter((row) => row.more === 0).length))} <span className="hide-narrow">{cut && t.cut}</span>
        </span>
        <div className="right flow-zoom">
          <button className="icon-btn" title={t.zoomOut} aria-label={t.zoomOut} onClick={() => setZoom(zoomed(scale, -1))}>
            −
          </button>
          <span className="small quiet num" aria-live="polite">
            {t.zoom(String(Math.round(scale * 100)))}
          </span>
          <button className="icon-btn" title={t.zoomIn} aria-label={t.zoomIn} onClick={() => setZoom(zoomed(scale, 1))}>
            +
          </button>
          <button className="btn sm" title={t.fitTitle} aria-pressed={zoom === 'fit'} onClick={() => setZoom('fit')}>
            {t.fit}
          </button>
        </div>
      </div>
      <div className="flow-frame" ref={frame}>
        <div className="flow-sheet" style={{ width: drawing.width * scale, height: drawing.height * scale }}>
          <div className="flow-scaled" style={{ transform: `scale(${scale})`, width: drawing.width, height: drawing.height }}>
            <svg className="flow-lines" width={drawing.width} height={drawing.height} aria-hidden="true">
              {drawing.edges.map((edge) => (
                <path key={edge.key} d={edge.path} className={edge.tone} />
              ))}
            </svg>
            <ul role="tree" aria-label={t.tree(root?.name ?? '', root?.id ?? '')} onKeyDown={onKey}>
              {drawing.placed.map(({ row, x, y }) => (
                <li
                  key={row.key}
                  data-key={row.key}
                  role="treeitem"
                  aria-level={row.level}
                  aria-posinset={row.place}
                  aria-setsize={row.siblings}
                  aria-selected={row.key === chosen}
                  aria-current={row.key === own ? 'true' : undefined}
                  aria-label={row.more > 0 ? t.moreOf(count(row.more), row.node.name) : undefined}
                  tabIndex={row.key === chosen ? 0 : -1}
                  className={row.more > 0 ? 'flow-node more' : 'flow-node'}
                  data-level={Math.min(row.level, 8)}
                  style={{ left: x, top: y, width: WIDTH, height: HEIGHT }}
                  onClick={() => {
                    onChoose(row.key)
                    if (row.more > 0) onMore(row.node)
                  }}
                  onFocus={() => onChoose(row.key)}
                  onDoubleClick={() => act(row)}
                >
                  {row.more > 0 ? <span className="link">{busy === keyOf(row.node) ? t.loading : t.more(count(row.more))}</span> : <NodeLabel node={row.node} />}
                </li>
              ))}
            </ul>
          </div>
        </div>
      </div>
    </>
  )
}

/** The room that an element has, as it changes. */
function useSize(of: React.RefObject<HTMLElement | null>) {
  const [size, setSize] = useState({ width: 0, height: 0 })
  useEffect(() => {
    const element = of.current
    if (!element) return
    const watch = new ResizeObserver(() => {
      const style = getComputedStyle(element)
      const around = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight)
      setSize({ width: element.clientWidth - around, height: parseFloat(style.maxHeight) || element.clientHeight })
    })
    watch.observe(element)
    return () => watch.disconnect()
  }, [of])
  return size
}
