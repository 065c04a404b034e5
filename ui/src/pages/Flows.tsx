import { useInfiniteQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { FlowRow } from '../flows/FlowRow'
import { readFlows } from '../flows/api'
import { troubleFirst } from '../flows/says'
import { keyOf } from '../flows/tree'
import type { FlowSearch } from '../flows/search'
import { count } from '../format'
import { PageTop } from '../parts/PageTop'
import { SkeletonRows } from '../parts/Skeleton'
import { texts } from '../texts'

const t = texts.flows

/** Jobs that wait for their children, the stuck ones first. */
export function Flows() {
  const search: FlowSearch = useSearch({ strict: false })
  const navigate = useNavigate()
  const set = (changes: FlowSearch) => void navigate({ to: '/flows', search: { ...search, ...changes }, replace: true })
  const queue = search.queue ?? ''
  const found = useInfiniteQuery({
    queryKey: ['flows', queue],
    queryFn: ({ pageParam }) => readFlows(queue, pageParam),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.cursor,
    refetchInterval: 5_000,
  })
  const pages = found.data?.pages ?? []
  const last = pages[pages.length - 1]
  const rows = troubleFirst(pages.flatMap((page) => page.flows))
  const stuck = rows.filter((row) => row.stuck).length
  // What is in trouble is open from the start; whoever closes it keeps it closed.
  const open = search.flow ?? (rows[0]?.stuck ? keyOf(rows[0]) : '')
  const queues = [...new Set([...Object.keys(last?.queues ?? {}), ...(queue ? [queue] : [])])].sort()
  return (
    <>
      <PageTop query={found}>{t.title}</PageTop>
      <div className="pagehead">
        <div>
          <h1>
            {t.title} {last && <span className="quiet light">{count(last.total)}</span>}
            {stuck > 0 && <span className="is-failed light">{t.stuck(count(stuck))}</span>}
          </h1>
          <p className="lead">{t.lead}</p>
        </div>
        {queues.length > 0 && (
          <label className="filter bare-filter">
            <span className="sr">{t.queue}</span>
            <select className="input" value={queue} onChange={(event) => set({ queue: event.target.value || undefined, flow: undefined })}>
              <option value="">{t.allQueues}</option>
              {queues.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
        )}
      </div>
      {found.isPending && <SkeletonRows />}
      {found.isError && !last && (
        <div className="empty">
          <h3>{t.nothingYet}</h3>
          <p>{t.nothingYetText}</p>
        </div>
      )}
      {last && rows.length === 0 && (
        <div className="empty">
          <h3>{queue ? t.emptyFiltered : t.emptyTitle}</h3>
          <p>{t.emptyText}</p>
        </div>
      )}
      {last && rows.length > 0 && (
        <>
          <div className="flow-row heads" aria-hidden="true">
            <span />
            <span>{t.jobHead}</span>
            <span className="num hide-narrow">{t.doneHead}</span>
            <span className="num">{t.sinceHead}</span>
          </div>
          <ul className="flow-list">
            {rows.map((row) => (
              <FlowRow
                key={keyOf(row)}
                row={row}
                now={last.at}
                open={keyOf(row) === open}
                onToggle={() => set({ flow: keyOf(row) === open ? 'none' : keyOf(row) })}
              />
            ))}
          </ul>
          {last.cursor !== null && (
            <p className="pad below-table small quiet">
              {t.searched(count(last.searched), count(last.total))}{' '}
              <button className="bare link" disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
                {t.lookFurther}
              </button>
            </p>
          )}
        </>
      )}
    </>
  )
}
