import { Link } from '@tanstack/react-router'
import { type Session, signOut } from '../api/client'
import { Icon, type IconName } from '../parts/Icon'
import { toggleTheme } from './theme'

const PLACES: { to: string; name: string; icon: IconName }[] = [
  { to: '/', name: 'Overview', icon: 'overview' },
  { to: '/workers', name: 'Workers', icon: 'workers' },
  { to: '/schedules', name: 'Schedules', icon: 'clock' },
  { to: '/audit', name: 'Audit', icon: 'audit' },
  { to: '/redis', name: 'Redis', icon: 'redis' },
  { to: '/checklist', name: 'Checklist', icon: 'help' },
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
        {PLACES.map((place) => (
          <Link key={place.to} to={place.to} title={place.name} activeOptions={{ exact: place.to === '/' }} activeProps={{ 'aria-current': 'page' }}>
            <Icon name={place.icon} />
            <span className="t">{place.name}</span>
          </Link>
        ))}
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
