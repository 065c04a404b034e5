import { useInfiniteQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import { ProblemError } from '../api/client'
import { useMay } from '../api/session'
import { count } from '../format'
import { readOutbox } from '../outbox/api'
import { Entry } from '../outbox/Entry'
import { glyphOf } from '../outbox/kinds'
import type { OutboxSearch } from '../outbox/search'
import { Glyph, Icon } from '../parts/Icon'
import { PageTop } from '../parts/PageTop'
import { SkeletonRows } from '../parts/Skeleton'
import { Time } from '../parts/Time'
import { texts } from '../texts'

const t = texts.outbox

/** What the sandbox has received, newest first. */
export function Outbox() {
  const search: OutboxSearch = useSearch({ strict: false })
  const navigate = useNavigate()
  const set = (changes: OutboxSearch) => void navigate({ to: '/outbox', search: { ...search, ...changes }, replace: true })
  const mayRead = useMay('read_payloads')
  const [to, setTo] = useState(search.to ?? '')
  useEffect(() => {
    const timer = setTimeout(() => to !== (search.to ?? '') && set({ to: to || undefined }), 250)
    return () => clearTimeout(timer)
  })
  const kind = search.kind ?? ''
  const found = useInfiniteQuery({
    queryKey: ['outbox', kind, search.to ?? ''],
    queryFn: ({ pageParam }) => readOutbox(kind, search.to ?? '', pageParam),
    initialPageParam: null as number | null,
    getNextPageParam: (page) => page.before,
    refetchInterval: (query) => (isAbsent(query.state.error) ? false : 3_000),
    retry: (failures, error) => failures < 1 && !isAbsent(error),
  })
  const pages = found.data?.pages ?? []
  const rows = pages.flatMap((page) => page.entries)
  const first = pages[0]
  const all = Object.values(first?.kinds ?? {}).reduce((sum, n) => sum + n, 0)
  if (isAbsent(found.error)) {
    return (
      <>
        <PageTop>{t.title}</PageTop>
        <div className="empty">
          <h3>{t.noSandbox}</h3>
          <p>{found.error?.message}</p>
        </div>
      </>
    )
  }
  return (
    <>
      <PageTop query={found}>{t.title}</PageTop>
      <div className="pagehead">
        <div>
          <h1>
            {t.title} {first && <span className="quiet light">{count(first.kept)}</span>}
          </h1>
          <p className="lead">{t.lead}</p>
        </div>
      </div>
      <div className="tabs" role="tablist" aria-label={t.kindTabs}>
        <button role="tab" aria-selected={kind === ''} onClick={() => set({ kind: undefined, entry: undefined })}>
          {t.all} {first && <b>{count(all)}</b>}
        </button>
        {Object.entries(t.kinds).map(([key, name]) => (
          <button key={key} role="tab" aria-selected={kind === key} onClick={() => set({ kind: key, entry: undefined })}>
            {name} {first && <b>{count(first.kinds[key] ?? 0)}</b>}
          </button>
        ))}
      </div>
      {mayRead && (
        <div className="filter">
          <div className="field">
            <Icon name="search" />
            <input type="search" aria-label={t.recipient} placeholder={t.recipientHint} value={to} onChange={(event) => setTo(event.target.value)} />
          </div>
        </div>
      )}
      {first && !mayRead && (
        <div className="banner calm small">
          <Glyph name="lock" /> {t.noRight}
        </div>
      )}
      {found.isPending && <SkeletonRows />}
      {found.isError && !first && (
        <div className="empty">
          <h3>{t.nothingYet}</h3>
          <p>{t.nothingYetText}</p>
        </div>
      )}
      {first && rows.length === 0 && (
        <div className="empty">
          <h3>{search.to || kind ? t.emptyFiltered : t.emptyTitle}</h3>
          <p>{search.to || kind ? t.emptyFilteredText : t.emptyText}</p>
        </div>
      )}
      {first && (rows.length > 0 || search.entry !== undefined) && (
        <div className={search.entry === undefined ? '' : 'split outbox-split'}>
          <div>
            <table className="table list rows outbox">
              <thead>
                <tr>
                  <th>{t.what}</th>
                  <th>{t.to}</th>
                  <th>{t.by}</th>
                  <th className="num">{t.at}</th>
                </tr>
              </thead>
              <tbody>
                {rows.map((row) => (
                  <tr key={row.number} className={row.number === search.entry ? 'sel' : ''} onClick={() => mayRead && set({ entry: row.number })}>
                    <td className="outbox-what">
                      <Glyph name={glyphOf(row.kind)} className="quiet" />{' '}
                      {mayRead ? (
                        <button className="bare strong" aria-pressed={row.number === search.entry}>
                          {row.title || t.untitled}
                        </button>
                      ) : (
                        <span className="quiet">{t.hiddenTitle}</span>
                      )}
                    </td>
                    <td>{row.to}</td>
                    <td className="outbox-by">
                      {row.provider} <span className="quiet">{row.action}</span>
                    </td>
                    <td className="num">
                      <Time at={row.at} relative />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
            <p className="pad below-table small quiet">
              {t.kept(count(first.kept))}{' '}
              {found.hasNextPage && (
                <button className="bare link" disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
                  {t.older}
                </button>
              )}
            </p>
          </div>
          {search.entry !== undefined && mayRead && <Entry number={search.entry} onClose={() => set({ entry: undefined })} />}
        </div>
      )}
    </>
  )
}

function isAbsent(error: Error | null): boolean {
  return error instanceof ProblemError && error.status === 404
}
