import { lazy, type ReactNode, Suspense } from 'react'
import { useAway } from '../api/away'
import { ActButton } from './ActButton'
import { Icon, type IconName } from './Icon'

// Its button stands before what it opens is there; where that does not come, as while Redis is away, it opens nothing.
const MenuList = lazy(() =>
  import('./MenuList').then(
    (module) => ({ default: module.MenuList }),
    () => ({ default: ({ children }: { choices: (Choice | null)[]; children: ReactNode }) => children }),
  ),
)

export interface Choice {
  name: string
  icon?: IconName
  danger?: boolean
  /** It changes nothing, so it may be chosen while Redis is away. */
  reads?: boolean
  run: () => void
}

interface Props {
  /** What the choices are about, for who cannot see where the button stands. */
  label?: string
  /** null: a line. */
  choices: (Choice | null)[]
  /** What the button says; without it three dots. */
  children?: ReactNode
  disabled?: boolean
}

/** A button that opens a short list of choices. */
export function Menu({ label, choices, children, disabled = false }: Props) {
  const away = useAway()
  // Something of it can be chosen all the same, so it opens.
  const opens = choices.some((choice) => choice?.reads)
  const Button = opens ? 'button' : ActButton
  const button = (
    <Button className={children ? 'btn' : 'icon-btn'} aria-label={label} aria-haspopup="menu" title={label} disabled={disabled}>
      {children ?? <Icon name="more" />}
    </Button>
  )
  if (away && !opens) return button
  return (
    <Suspense fallback={button}>
      <MenuList choices={choices}>{button}</MenuList>
    </Suspense>
  )
}
