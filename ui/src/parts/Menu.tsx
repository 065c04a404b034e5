import * as Radix from '@radix-ui/react-dropdown-menu'
import type { ReactNode } from 'react'
import { useAway } from '../api/away'
import { texts } from '../texts'
import { ActButton } from './ActButton'
import { Icon, type IconName } from './Icon'

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
  // Not modal: a modal one would need a style of its own in the page.
  return (
    <Radix.Root modal={false}>
      <Radix.Trigger asChild>{button}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content className="menu" align="end" sideOffset={4} collisionPadding={8}>
          {choices.map((choice, at) =>
            choice === null ? (
              <Radix.Separator key={at} className="menu-line" />
            ) : (
              <Radix.Item key={choice.name} className={`menu-item ${choice.danger ? 'is-failed' : ''}`} disabled={away && !choice.reads} title={away && !choice.reads ? texts.parts.actionsOff : undefined} onSelect={choice.run}>
                {choice.icon && <Icon name={choice.icon} />}
                {choice.name}
              </Radix.Item>
            ),
          )}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}
