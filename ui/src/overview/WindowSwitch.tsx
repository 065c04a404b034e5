import { Link } from '@tanstack/react-router'
import { texts } from '../texts'
import { type Minutes, USUAL, WINDOWS } from './window'

const say = texts.overview.window

/** How far back the rates of the table go; each is a link, so that one can be kept or sent. */
export function WindowSwitch({ minutes }: { minutes: Minutes }) {
  return (
    <nav className="seg" aria-label={say.label}>
      {WINDOWS.map((one) => (
        <Link key={one} to="/" search={one === USUAL ? {} : { minutes: one }} replace resetScroll={false} activeOptions={{ exact: true }} activeProps={{}} aria-current={one === minutes ? 'true' : undefined}>
          {say.of(one)}
        </Link>
      ))}
    </nav>
  )
}
