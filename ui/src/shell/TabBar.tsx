import { Link, useLocation } from '@tanstack/react-router'
import { type Session } from '../api/client'
import { Dialog } from '../parts/Dialog'
import { Icon } from '../parts/Icon'
import { texts } from '../texts'
import { isAt } from './isAt'
import { leave } from './leave'
import { lay } from './overlay'
import type { Place } from './places'
import { toggleTheme } from './theme'
import { useCounts } from './useCounts'
import { usePlaces } from './usePlaces'

/** Pages that have a place at the thumb; the others are behind More. */
const AT_THUMB = new Set(['o', 'q', 'd', 'w'])

/** The pages at the thumb, on a narrow screen. */
export function TabBar() {
  const counts = useCounts()
  const location = useLocation()
  const places = usePlaces()
  const rest = places.filter((place) => !AT_THUMB.has(place.key))
  const within = rest.some((place) => isAt(place, location))
  const needsLook = rest.some((place) => counts[place.key]?.bad)
  return (
    <nav className="tabbar" aria-label={texts.shell.main}>
      {places
        .filter((place) => AT_THUMB.has(place.key))
        .map((place) => (
          <Link key={place.key} to={place.to} hash={place.hash} aria-current={isAt(place, location) ? 'page' : undefined} activeOptions={{ exact: true, includeHash: true }} activeProps={{}}>
            <Icon name={place.icon} />
            {place.key === 'd' ? texts.shell.deadShort : place.name}
            {counts[place.key]?.bad && <Dot />}
          </Link>
        ))}
      <button aria-haspopup="dialog" data-within={within || undefined} onClick={() => lay({ kind: 'more' })}>
        <Icon name="menu" />
        {texts.shell.more}
        {needsLook && <Dot />}
      </button>
    </nav>
  )
}

function Dot() {
  return (
    <>
      <i aria-hidden="true" />
      <span className="sr">{texts.shell.needsLook}</span>
    </>
  )
}

/** What has no place at the thumb. */
export function MoreSheet({ session }: { session: Session }) {
  const counts = useCounts()
  const location = useLocation()
  const close = () => lay(null)
  const link = (place: Place) => (
    <Link key={place.key} to={place.to} aria-current={isAt(place, location) ? 'page' : undefined} activeOptions={{ exact: true, includeHash: true }} activeProps={{}} onClick={close}>
      <Icon name={place.icon} />
      {place.name}
      {counts[place.key] && <span className={counts[place.key]!.bad ? 'count is-failed' : 'count'}>{counts[place.key]!.says}</span>}
    </Link>
  )
  return (
    <Dialog title={texts.shell.more} look="more" onClose={close}>
      <nav className="more-list" aria-label={texts.shell.more}>
        {usePlaces()
          .filter((place) => !AT_THUMB.has(place.key))
          .map(link)}
      </nav>
      <div className="more-list">
        <button onClick={toggleTheme}>
          <Icon name="theme" />
          {texts.shell.palette.theme}
        </button>
        <button onClick={leave}>
          <Icon name="leave" />
          {texts.shell.signOut}
          <span className="count">{session.user}</span>
        </button>
        <button autoFocus onClick={close}>
          <Icon name="close" />
          {texts.parts.close}
        </button>
      </div>
    </Dialog>
  )
}
