import { useInfiniteQuery } from '@tanstack/react-query'
import { answered, api } from '../api/client'
import { PageTop } from '../parts/PageTop'
import { SkeletonRows } from '../parts/Skeleton'
import { Time } from '../parts/Time'
import { useEvery } from '../parts/useEvery'
import { useCursor } from '../shell/useCursor'
import { texts } from '../texts'

const said = texts.audit

export function Audit() {
  const pages = useInfiniteQuery({
    queryKey: ['audit'],
    queryFn: ({ pageParam }) =>
      answered(api.GET('/api/v1/audit', { params: { query: pageParam ? { before: pageParam } : {} } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: useEvery(10_000),
  })
  const entries = pages.data?.pages.flatMap((page) => page.entries) ?? []
  const cursor = useCursor(entries.map((entry) => entry.id))
  return (
    <>
      <PageTop query={pages}>{said.title}</PageTop>
      <div className="pagehead">
        <div>
          <h1>{said.title}</h1>
          <p className="lead">{said.lead}</p>
        </div>
      </div>
      {pages.isPending && <SkeletonRows rows={8} />}
      {pages.isSuccess && entries.length === 0 && (
        <div className="empty">
          <h2>{said.emptyTitle}</h2>
          <p>{said.empty}</p>
        </div>
      )}
      {entries.length > 0 && (
        <table className="table rows audit">
          <thead>
            <tr>
              <th>{said.when}</th>
              <th>{said.who}</th>
              <th>{said.what}</th>
              <th>{said.on}</th>
              <th>{said.facts}</th>
            </tr>
          </thead>
          <tbody>
            {entries.map((entry) => (
              <tr key={entry.id} {...cursor.row(entry.id)}>
                <td data-l={said.when}>
                  <Time at={entry.at} />
                </td>
                <td className="wrap" data-l={said.who}>
                  {entry.actor}
                </td>
                <td className="wrap strong" data-l={said.what}>
                  {entry.action}
                </td>
                <td className="wrap" data-l={said.on}>
                  {entry.target}
                </td>
                <Facts facts={Object.entries(entry.facts)} />
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {pages.hasNextPage && (
        <div className="pad head">
          <button className="btn" onClick={() => void pages.fetchNextPage()}>
            {said.older}
          </button>
        </div>
      )}
    </>
  )
}

/** What the change was made with, by name; nothing where there is nothing to say. */
function Facts({ facts }: { facts: [string, unknown][] }) {
  return (
    <td className="wrap two" data-l={facts.length > 0 ? said.facts : undefined}>
      {facts.map(([name, value]) => (
        <span key={name} className="fact small">
          <span className="quiet">{name}</span> <code>{typeof value === 'string' ? value : JSON.stringify(value)}</code>
        </span>
      ))}
    </td>
  )
}
