import type { ReactNode } from 'react'
import { clock } from '../format'
import { isAway } from '../api/client'
import { SearchButton } from '../shell/SearchButton'
import { texts } from '../texts'
import { useHearing } from './useLive'
import { type Freshness, Staleness } from './Staleness'

interface Props {
  /** Where one is: the page's name, or links to what is above it and its name. */
  children: ReactNode
  /** What the page shows; without it the page says nothing of its age. */
  query?: Freshness
}

/** The bar over a page, and the band below it that says when its numbers are not of now. */
export function PageTop({ children, query }: Props) {
  return (
    <>
      <header className="topbar">
        <div className="crumbs">{children}</div>
        <SearchButton />
        {query && <LiveSign query={query} />}
      </header>
      {query && <Staleness of={query} />}
    </>
  )
}

/** Between two steps of where one is. */
export function Above() {
  return (
    <span className="sep hide-narrow" aria-hidden="true">
      /
    </span>
  )
}

function LiveSign({ query }: { query: Freshness }) {
  const shownOf = query.dataUpdatedAt / 1000
  const hearing = useHearing()
  return (
    <span className="live" role="status">
      {query.isError ? (
        <span className="is-failed">{isAway(query.error) ? texts.parts.redisSilent : texts.parts.notLive}</span>
      ) : (
        <>
          <i className={hearing === 'live' ? '' : 'off'} />
          {hearing === 'paused' ? texts.parts.paused : hearing === 'reconnecting' ? texts.parts.reconnecting : texts.parts.live}
          {/* Its room is there before its time is: nothing beside it moves. */}
          <span className={shownOf > 0 ? 'quiet hide-narrow' : 'unseen hide-narrow'} aria-hidden="true">
            {clock(shownOf)}
          </span>
        </>
      )}
    </span>
  )
}
