import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import { answered, api } from '../api/client'
import type { components } from '../api/schema'
import { AuditFilter } from '../audit/AuditFilter'
import type { AuditSearch } from '../audit/search'
import { actionWords, areasOf, leadsTo } from '../audit/words'
import { count } from '../format'
import { PageTop } from '../parts/PageTop'
import { SkeletonRows } from '../parts/Skeleton'
import { Time } from '../parts/Time'
import { useEvery } from '../parts/useEvery'
import { useCursor } from '../shell/useCursor'
import { texts } from '../texts'

const said = texts.audit

type Entry = components['schemas']['AuditRow']

export function Audit() {
  const search: AuditSearch = useSearch({ strict: false })
  const navigate = useNavigate()
  const set = (search: AuditSearch) => void navigate({ to: '/audit', search, replace: true })
  const { q = '', about } = search
  const pages = useInfiniteQuery({
    queryKey: ['audit', q, about],
    queryFn: ({ pageParam }) =>
      answered(
        api.GET('/api/v1/audit', {
          params: { query: { text: q, about: about ? areasOf(about) : null, ...(pageParam ? { before: pageParam } : {}) } },
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: useEvery(10_000),
    placeholderData: keepPreviousData,
  })
  const entries = pages.data?.pages.flatMap((page) => page.entries) ?? []
  const searched = pages.data?.pages.reduce((sum, page) => sum + page.searched, 0) ?? 0
  const cursor = useCursor(entries.map((entry) => entry.id))
  const filtered = q !== '' || about !== undefined
  return (
    <>
      <PageTop query={pages}>{said.title}</PageTop>
      <div className="pagehead">
        <div>
          <h1>{said.title}</h1>
          <p className="lead">{said.lead}</p>
        </div>
      </div>
      <AuditFilter search={search} onChange={set} />
      {pages.isPending && <SkeletonRows rows={8} />}
      {pages.isSuccess && entries.length === 0 && (
        <div className="empty" role="status">
          <h2>{filtered ? said.noneFits : said.emptyTitle}</h2>
          <p>{filtered ? said.noneFitsWhy(count(searched)) : said.empty}</p>
          {filtered && (
            <button className="btn" onClick={() => set({})}>
              {said.clear}
            </button>
          )}
        </div>
      )}
      {entries.length > 0 && (
        <table className="table rows audit">
          <thead>
            <tr>
              <th className="c-when">{said.when}</th>
              <th className="c-who">{said.who}</th>
              <th className="c-what">{said.what}</th>
              <th className="c-on">{said.on}</th>
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
                  <button className="bare" title={said.onlyOf(entry.actor)} onClick={() => set({ ...search, q: entry.actor })}>
                    {entry.actor}
                  </button>
                </td>
                <td className="wrap" data-l={said.what}>
                  <span className="strong">{actionWords(entry.action)}</span>
                  <span className="second mono">{entry.action}</span>
                </td>
                <td className="wrap" data-l={said.on}>
                  <Target entry={entry} />
                </td>
                <Facts facts={Object.entries(entry.facts).filter(([, value]) => value !== null)} />
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {(pages.hasNextPage || (filtered && entries.length > 0)) && (
        <div className="pad head">
          {pages.hasNextPage && (
            <button className="btn" disabled={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>
              {filtered ? said.searchOn : said.older}
            </button>
          )}
          {filtered && <span className="small quiet">{said.searched(count(searched))}</span>}
        </div>
      )}
    </>
  )
}

function Target({ entry: { action, target } }: { entry: Entry }) {
  const leads = leadsTo(action, target)
  return leads === null ? <>{target}</> : <Link {...leads}>{target}</Link>
}

function written(value: unknown): string {
  if (typeof value === 'string') return value
  return typeof value === 'number' ? value.toLocaleString('en-US') : JSON.stringify(value)
}

/** What the change was made with, by name; nothing where there is nothing to say. */
function Facts({ facts }: { facts: [string, unknown][] }) {
  return (
    <td className="wrap" data-l={facts.length > 0 ? said.facts : undefined}>
      {facts.map(([name, value]) => (
        <span key={name} className="fact small">
          <span className="quiet">{name}</span> <code>{written(value)}</code>
        </span>
      ))}
    </td>
  )
}
