import { lazy, type ReactNode, Suspense, useState } from 'react'
import { useAway } from '../api/away'
import { ActButton } from './ActButton'
import { Icon, type IconName } from './Icon'

// Its button stands before what it opens is there; where that does not come, as while Redis is away, it opens nothing.
const load = () => import('./MenuList')
const MenuList = lazy(() =>
  load().then(
    (module) => ({ default: module.MenuList }),
    () => ({ default: ({ children }: { choices: (Choice | null)[]; open: boolean; children: ReactNode }) => children }),
  ),
)

/** Brings the list before somebody asks for it. */
export function bringMenus() {
  load().catch(() => undefined) // asked again by the first menu
}

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
  // Pressed before the list was there: it opens when it comes.
  const [wanted, setWanted] = useState(false)
  // Something of it can be chosen all the same, so it opens.
  const opens = choices.some((choice) => choice?.reads)
  const Button = opens ? 'button' : ActButton
  const props = { className: children ? 'btn' : 'icon-btn', 'aria-label': label, 'aria-haspopup': 'menu' as const, title: label, disabled }
  const says = children ?? <Icon name="more" />
  if (away && !opens) return <Button {...props}>{says}</Button>
  return (
    <Suspense
      fallback={
        <Button {...props} onClick={() => setWanted(true)}>
          {says}
        </Button>
      }
    >
      <MenuList choices={choices} open={wanted}>
        <Button {...props}>{says}</Button>
      </MenuList>
    </Suspense>
  )
}
