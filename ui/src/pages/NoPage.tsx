import { Link } from '@tanstack/react-router'
import { PageTop } from '../parts/PageTop'
import { texts } from '../texts'

const say = texts.shell.noPage

/** At an address that is no page. */
export function NoPage() {
  return (
    <>
      <PageTop>{say.title}</PageTop>
      <div className="empty">
        <h1>{say.title}</h1>
        <p>{say.says}</p>
        <Link className="btn" to="/">
          {texts.shell.places.overview}
        </Link>
      </div>
    </>
  )
}
