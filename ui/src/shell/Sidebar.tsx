import { Link, useLocation } from '@tanstack/react-router'
import { useEffect } from 'react'
import type { Session } from '../api/client'
import { count } from '../format'
import { useOverview } from '../pages/Overview'
import { Glyph, Icon } from '../parts/Icon'
import { condition, waitingOf, worstFirst } from '../queues/trouble'
import { texts } from '../texts'
import { isAt } from './isAt'
import { leave } from './leave'
import { lay } from './overlay'
import type { Place } from './places'
import { toggleTheme } from './theme'
import { useCounts } from './useCounts'
import { usePlaces } from './usePlaces'

export function Sidebar({ session }: { session: Session }) {
  const places = usePlaces()
  const counts = useCounts()
  const location = useLocation()
  const { data, isError } = useOverview(10_000)
  // Where nobody knows yet how many queues there are, what stands below them comes with them: nothing moves.
  const settled = data !== undefined || isError || localStorage.getItem(ROOM) !== null
  const link = (place: Place) => (
    <Link key={place.key} to={place.to} hash={place.hash} title={place.name} aria-current={isAt(place, location) ? 'page' : undefined} activeOptions={{ exact: true, includeHash: true }} activeProps={{}}>
      <Icon name={place.icon} />
      <span className="t">{place.name}</span>
      {place.key !== 'q' && counts[place.key] && <span className={counts[place.key]!.bad ? 'count is-failed' : 'count'}>{counts[place.key]!.says}</span>}
    </Link>
  )
  const [above, below] = [places.filter((place) => place.part === 'work'), places.filter((place) => place.part === 'around')]
  return (
    <nav className="sidebar" aria-label={texts.shell.main}>
      <Link className="brand" to="/" title={texts.shell.places.overview} activeOptions={{ exact: true, includeHash: true }} activeProps={{}}>
        <Mark />
        <span>{texts.shell.product}</span>
        <span className="env">{session.environment}</span>
      </Link>
      <div className="nav">
        {above.slice(0, 2).map(link)}
        <Queues />
        {settled && (
          <>
            {above.slice(2).map(link)}
            <hr />
            {below.map(link)}
          </>
        )}
      </div>
      <div className="whoami">
        <span>{session.user}</span>
        <button className="icon-btn" title={texts.shell.theme} aria-label={texts.shell.theme} onClick={toggleTheme}>
          <Icon name="theme" />
        </button>
        <button className="icon-btn" title={texts.shell.keyboard} aria-label={texts.shell.keyboard} onClick={() => lay({ kind: 'keys' })}>
          <Icon name="help" />
        </button>
        <button className="icon-btn" title={texts.shell.signOut} aria-label={texts.shell.signOut} onClick={leave}>
          <Icon name="leave" />
        </button>
      </div>
    </nav>
  )
}

/** Queues that the sidebar has room for: the worst, by name, so that none moves under the pointer. */
const SHOWN = 12

/** Where this browser keeps how many there were. */
const ROOM = 'sidebar-queues'

function Queues() {
  const known = useOverview(10_000).data?.queues
  const queues = known ?? []
  const room = Math.min(queues.length, SHOWN)
  useEffect(() => {
    if (known) localStorage.setItem(ROOM, String(room))
  }, [known, room])
  // As many as last time, most likely: what stands below is in its place from the beginning.
  if (!known) return <div className="sub">{Array.from({ length: Math.min(Number(localStorage.getItem(ROOM)), SHOWN) }, (_, at) => <i key={at} />)}</div>
  if (room === 0) return null
  return (
    <div className="sub" role="group" aria-label={texts.shell.places.queues}>
      {worstFirst(queues)
        .slice(0, SHOWN)
        .sort((a, b) => a.row.queue.localeCompare(b.row.queue))
        .map((queue) => {
          const now = condition(queue)
          const tone = now.level === 'trouble' ? 'is-failed' : now.level === 'watch' ? 'is-limited' : ''
          const name = queue.row.queue
          return (
            <Link key={name} to="/queues/$queue" params={{ queue: name }} search={{}} title={`${name}: ${now.says}`} activeProps={{ 'aria-current': 'page' }}>
              <Glyph name={now.glyph} className={tone || 'quiet'} />
              <span className="t ellipsis">{name}</span>
              <span className={`count ${now.level === 'trouble' ? 'is-failed' : ''}`}>{count(waitingOf(queue.row.states) + (queue.row.states['held'] ?? 0))}</span>
            </Link>
          )
        })}
    </div>
  )
}

function Mark() {
  return (
    <svg viewBox="0 0 16 16" aria-hidden="true">
      <g fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" strokeLinejoin="round">
        <path d="M12.25 3.3a6.1 6.1 0 1 0 0 9.4" />
        <path d="M12.25 3.3l2.6 3.2" />
      </g>
      <circle cx="8" cy="8" r="2.2" fill="currentColor" />
    </svg>
  )
}
