import { Link, useLocation } from '@tanstack/react-router'
import { PageTop } from '../parts/PageTop'
import { lay } from '../shell/overlay'
import { texts } from '../texts'

const say = texts.shell.noPage

/** At an address that is no page. */
export function NoPage() {
  const { pathname } = useLocation()
  return (
    <>
      <PageTop>{say.title}</PageTop>
      <div className="empty">
        <h1>{say.title}</h1>
        <p>{say.says}</p>
        <code>{pathname}</code>
        <div className="btn-row">
          <Link className="btn" to="/">
            {texts.shell.places.overview}
          </Link>
          <button className="btn" onClick={() => lay({ kind: 'palette' })}>
            {texts.shell.search}
          </button>
        </div>
      </div>
    </>
  )
}
