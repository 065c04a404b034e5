import type { ComponentProps } from 'react'
import { useAway } from '../api/away'
import { texts } from '../texts'

/**
 * A button that changes something, or leads to that. While Redis is away it does nothing and says why; it can still be
 * reached, by the pointer and by the keyboard, so that the reason can be read.
 */
export function ActButton(props: ComponentProps<'button'>) {
  const away = useAway()
  if (!away) return <button {...props} />
  const { disabled: _, ...rest } = props
  return (
    <button
      {...rest}
      aria-disabled="true"
      aria-description={texts.parts.actionsOff}
      title={texts.parts.actionsOff}
      // A form is not sent either: Enter in a field presses its button.
      onClick={(event) => event.preventDefault()}
    />
  )
}
