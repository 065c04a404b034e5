import { type ErrorComponentProps, Link } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import { PageTop } from '../parts/PageTop'
import { texts } from '../texts'

const say = texts.shell.broken

/** What browsers say of a part of the page that they could not load. */
const NOT_LOADED = /dynamically imported module|module script/i

/** Instead of a page that threw, or whose part could not be loaded. What is around it goes on. */
export function BrokenPage({ error }: ErrorComponentProps) {
  const fault = error instanceof Error ? error.message : String(error)
  const missing = NOT_LOADED.test(fault)
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => heading.current?.focus(), [])
  return (
    <>
      <PageTop>{say.title}</PageTop>
      <div className="empty" role="alert">
        <h1 ref={heading} tabIndex={-1}>
          {missing ? say.notLoaded : say.broke}
        </h1>
        <p>{missing ? say.notLoadedSays : say.brokeSays}</p>
        {!missing && <code>{fault}</code>}
        <div className="btn-row">
          <button className="btn" onClick={() => location.reload()}>
            {say.again}
          </button>
          <Link className="btn" to="/">
            {texts.shell.places.overview}
          </Link>
        </div>
      </div>
    </>
  )
}
