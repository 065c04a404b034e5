import { Fragment } from 'react'
import { texts } from '../texts'
import { caps } from './keys'

const MAC = /mac|iphone|ipad/i.test(navigator.platform)

/** A key as it stands on the keyboard; two of them for a chord. */
export function Caps({ name }: { name: string }) {
  return (
    <span className="caps">
      {caps(name, MAC).map((key, at) => (
        <Fragment key={at}>
          {at > 0 && <span className="sr"> {name.startsWith('g ') ? texts.keys.then : '+'} </span>}
          <kbd>{key}</kbd>
        </Fragment>
      ))}
    </span>
  )
}
