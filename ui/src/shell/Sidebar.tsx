import { Link } from '@tanstack/react-router'
import { type Session, signOut } from '../api/client'
import { useOverview } from '../pages/Overview'
import { Glyph, Icon, type IconName } from '../parts/Icon'
import { count } from '../format'
import { condition, waitingOf, worstFirst } from '../queues/trouble'
import { toggleTheme } from './theme'

interface Place {
  to: string
  name: string
  icon: IconName
}

const WORK: Place[] = [
  { to: '/dead', name: 'Dead letters', icon: 'dead' },
  { to: '/workers', name: 'Workers', icon: 'workers' },
  { to: '/schedules', name: 'Schedules', icon: 'clock' },
  { to: '/flows', name: 'Flows', icon: 'flows' },
]

const AROUND: Place[] = [
  { to: '/alerts', name: 'Alerts', icon: 'alerts' },
  { to: '/events', name: 'Events', icon: 'events' },
  { to: '/audit', name: 'Audit', icon: 'audit' },
  { to: '/redis', name: 'Redis', icon: 'redis' },
  { to: '/checklist', name: 'Checklist', icon: 'settings' },
  { to: '/settings', name: 'Settings', icon: 'settings' },
]

export function Sidebar({ session }: { session: Session }) {
  return (
    <nav className="sidebar" aria-label="Main">
      <Link className="brand" to="/">
        <Mark />
        <span>Corral</span>
        <span className="env">{session.environment}</span>
      </Link>
      <div className="nav">
        <PlaceLink to="/" name="Overview" icon="overview" />
        <Queues />
        {WORK.map((place) => (
          <PlaceLink key={place.to} {...place} />
        ))}
        <hr />
        {AROUND.map((place) => (
          <PlaceLink key={place.to} {...place} />
        ))}
        {session.sandbox && <PlaceLink to="/outbox" name="Outbox" icon="outbox" />}
      </div>
      <div className="whoami">
        <span>{session.user}</span>
        <button className="icon-btn" title="Theme (t)" onClick={toggleTheme}>
          <Icon name="theme" />
        </button>
        <button className="icon-btn" title="Sign out" onClick={() => void signOut()}>
          <Icon name="leave" />
        </button>
      </div>
    </nav>
  )
}

/** Queues that the sidebar has room for: the worst, by name, so that none moves under the pointer. */
const SHOWN = 12

function Queues() {
  const queues = useOverview(10_000).data?.queues ?? []
  if (queues.length === 0) return null
  return (
    <div className="sub" role="group" aria-label="Queues">
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

function PlaceLink({ to, name, icon }: Place) {
  return (
    <Link to={to} title={name} activeOptions={{ exact: to === '/' }} activeProps={{ 'aria-current': 'page' }}>
      <Icon name={icon} />
      <span className="t">{name}</span>
    </Link>
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
