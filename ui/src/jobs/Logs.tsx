import { useQueries, useQuery } from '@tanstack/react-query'
import { useVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useMemo, useRef, useState } from 'react'
import { count } from '../format'
import { Icon } from '../parts/Icon'
import { Menu } from '../parts/Menu'
import { say } from '../parts/toasting'
import { texts } from '../texts'
import { LOG_CHUNK, readLogs } from './api'
import { Redacted } from './DataTree'
import { type LogLine, logLine, matches, pieces } from './logLines'

const says = texts.job

/** Rows that are read: the newest. */
const MOST = 20_000

/** Rows of about this height in pixels, before they are measured. */
const ROW = 20

/** The log as the server has it now: whole parts are read once, the last one again and again. */
function useLog(queue: string, id: string, running: boolean) {
  const every = running ? 2_000 : 10_000
  const tail = useQuery({ queryKey: ['logs', queue, id, 'tail'], queryFn: () => readLogs(queue, id, -LOG_CHUNK), refetchInterval: every })
  const page = tail.data
  const first = page ? Math.max(0, page.total - MOST) : 0
  const starts: number[] = []
  for (let at = Math.floor(first / LOG_CHUNK) * LOG_CHUNK; page && !page.redacted && at < page.start; at += LOG_CHUNK) starts.push(at)
  const parts = useQueries({
    queries: starts.map((start) => ({ queryKey: ['logs', queue, id, start], queryFn: () => readLogs(queue, id, start), staleTime: 60_000 })),
  })
  const known = parts.map((part) => part.data?.rows.length ?? 0).join()
  const lines = useMemo(() => {
    if (!page) return []
    const rows: string[] = []
    let from = page.start
    // Backwards, so that a part which is not there yet hides only what is older.
    for (const [n, start] of [...starts.entries()].reverse()) {
      const part = parts[n]?.data
      if (!part) break
      rows.unshift(...part.rows.slice(0, from - start))
      from = start
    }
    return [...rows, ...page.rows].map((row, n) => ({ number: from + n + 1, ...logLine(row) }))
    // eslint-disable-next-line react-hooks/exhaustive-deps -- `known` stands for the parts
  }, [page, known])
  return { page, lines }
}

/** What the job logged, with a search; it follows the newest line of a running job until one scrolls up. */
export function Logs({ queue, id, running }: { queue: string; id: string; running: boolean }) {
  const { page, lines } = useLog(queue, id, running)
  const [wanted, setWanted] = useState('')
  const [at, setAt] = useState(0)
  const [wrap, setWrap] = useState(true)
  const [following, setFollowing] = useState(true)
  const found = useMemo(() => matches(lines, wanted), [lines, wanted])
  const current = found.length === 0 ? -1 : Math.min(at, found.length - 1)
  const turn = (by: number) => found.length > 0 && setAt((current + by + found.length) % found.length)
  const text = () => lines.map((line) => [line.time, line.level, line.text].filter(Boolean).join(' ')).join('\n')
  const copy = () => void navigator.clipboard.writeText(text()).then(() => say(says.logCopied(lines.length)))
  const some = lines.length > 0
  return (
    <section className="joblogs" aria-label={says.logs}>
      <div className="pad head">
        <h2>{says.logs}</h2>
        <span className="small quiet">
          {page && says.lines(page.total)}
          {page && lines.length < page.total && !page.redacted && says.lastOf(lines.length)}
        </span>
        {some && (
          <div className="right">
            <span className="input small-input logsearch">
              <input
                className="bare"
                type="search"
                placeholder={says.searchLog}
                aria-label={says.searchLog}
                value={wanted}
                onChange={(event) => {
                  setWanted(event.target.value)
                  setAt(0)
                  setFollowing(false)
                }}
                onKeyDown={(event) => event.key === 'Enter' && turn(event.shiftKey ? -1 : 1)}
              />
              {wanted && (
                <>
                  <span className="quiet" role="status">
                    {says.matches(current + 1, found.length)}
                  </span>
                  <button className="icon-btn up" title={says.previousMatch} disabled={found.length === 0} onClick={() => turn(-1)}>
                    <Icon name="down" />
                  </button>
                  <button className="icon-btn" title={says.nextMatch} disabled={found.length === 0} onClick={() => turn(1)}>
                    <Icon name="down" />
                  </button>
                </>
              )}
            </span>
            <button className="tag-btn" aria-pressed={wrap} title={says.wrapTitle} onClick={() => setWrap(!wrap)}>
              {says.wrap}
            </button>
            {running && (
              <button className="tag-btn" aria-pressed={following} title={says.followTitle} onClick={() => setFollowing(!following)}>
                {following ? (
                  <span className="live">
                    <i />
                    {says.following}
                  </span>
                ) : (
                  says.follow
                )}
              </button>
            )}
            <Menu
              label={says.logMore}
              choices={[
                { name: says.copyLog, icon: 'copy', reads: true, run: copy },
                { name: says.downloadLog, icon: 'down', reads: true, run: () => download(`${queue}-${id}.log`, text()) },
              ]}
            />
          </div>
        )}
      </div>
      {page?.redacted && page.total > 0 ? (
        <div className="pad">
          <Redacted says={says.logsRedacted} />
        </div>
      ) : some ? (
        <Lines lines={lines} wanted={wanted} current={current < 0 ? null : found[current]!} wrap={wrap} following={running && following} onLeave={() => setFollowing(false)} />
      ) : (
        <p className="pad quiet">{page ? says.loggedNothing : ' '}</p>
      )}
    </section>
  )
}

type Numbered = LogLine & { number: number }

interface Shown {
  lines: Numbered[]
  wanted: string
  /** The line of the match that one is at. */
  current: number | null
  wrap: boolean
  following: boolean
  /** Somebody scrolled away from the newest line. */
  onLeave: () => void
}

function Lines({ lines, wanted, current, wrap, following, onLeave }: Shown) {
  const box = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({ count: lines.length, getScrollElement: () => box.current, estimateSize: () => ROW, overscan: 20 })
  const plain = !lines.some((line) => line.time || line.level)
  useEffect(() => {
    if (following && lines.length > 0) virtual.scrollToIndex(lines.length - 1, { align: 'end' })
  }, [following, lines.length, virtual])
  useEffect(() => {
    if (current != null) virtual.scrollToIndex(current, { align: 'auto' })
  }, [current, virtual])
  useEffect(() => virtual.measure(), [wrap, virtual])
  return (
    <div className={`logbox ${wrap ? '' : 'long'}`} ref={box} tabIndex={0} role="region" aria-label={says.logLines} onWheel={(event) => event.deltaY < 0 && following && onLeave()}>
      <ol className={plain ? 'logs plain' : 'logs'} style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const line = lines[item.index]!
          return (
            <li
              key={line.number}
              ref={virtual.measureElement}
              data-index={item.index}
              className={`${line.level} ${item.index === current ? 'at-match' : ''}`}
              style={{ transform: `translateY(${item.start}px)` }}
              aria-setsize={lines.length}
              aria-posinset={item.index + 1}
            >
              <time>{line.time || <span className="quiet">{count(line.number)}</span>}</time>
              <span className="lv">{line.level}</span>
              <p>{pieces(line.text, wanted).map((piece, n) => (n % 2 ? <mark key={n}>{piece}</mark> : piece))}</p>
            </li>
          )
        })}
      </ol>
    </div>
  )
}

function download(name: string, text: string) {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }))
  link.download = name
  link.click()
  URL.revokeObjectURL(link.href)
}
