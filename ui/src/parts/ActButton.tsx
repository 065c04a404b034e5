import type { ComponentProps } from 'react'
import { useAway } from '../api/away'
import { texts } from '../texts'

interface Props extends ComponentProps<'button'> {
  /** What it began is under way, and it is not to be pressed again. */
  busy?: boolean
}

/**
 * A button that changes something, or leads to that. While Redis is away it does nothing and says why; while it is busy it
 * does nothing. Both times it can still be reached by the pointer and by the keyboard: the reason can be read, and who works
 * by keyboard is not thrown to the top of the page, as the focus of a button that is disabled is.
 */
export function ActButton({ busy = false, ...props }: Props) {
  const away = useAway()
  if (!away && !busy) return <button {...props} />
  const { disabled, ...rest } = props
  const reason = away ? texts.parts.actionsOff : undefined
  return (
    <button
      {...rest}
      disabled={disabled && !away}
      aria-disabled="true"
      aria-description={reason}
      title={reason ?? props.title}
      // A form is not sent either: Enter in a field presses its button.
      onClick={(event) => event.preventDefault()}
    />
  )
}
