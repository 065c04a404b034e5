import { useInfiniteQuery } from '@tanstack/react-query'
import { answered, api } from '../api/client'
import { Time } from '../parts/Time'
import { PageTop } from '../parts/PageTop'
import { useEvery } from '../parts/useEvery'

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
  return (
    <>
      <PageTop query={pages}>Audit</PageTop>
      {pages.isSuccess && entries.length === 0 ? (
        <div className="empty">
          <h3>Nobody has changed anything yet</h3>
          <p>Each pause, retry, discard and setting that is changed here or with the command line will be listed.</p>
        </div>
      ) : (
        <table className="table">
          <thead>
            <tr>
              <th>When</th>
              <th>Who</th>
              <th>What</th>
              <th>On</th>
              <th>Facts</th>
            </tr>
          </thead>
          <tbody>
            {entries.map((entry) => (
              <tr key={entry.id}>
                <td>
                  <Time at={entry.at} />
                </td>
                <td>{entry.actor}</td>
                <td>{entry.action}</td>
                <td>{entry.target}</td>
                <td className="quiet">
                  <code>{JSON.stringify(entry.facts)}</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {pages.hasNextPage && (
        <div className="pad head">
          <button className="btn" onClick={() => void pages.fetchNextPage()}>
            Older
          </button>
        </div>
      )}
    </>
  )
}
