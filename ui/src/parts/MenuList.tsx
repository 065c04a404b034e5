import * as Radix from '@radix-ui/react-dropdown-menu'
import type { ReactNode } from 'react'
import { useAway } from '../api/away'
import { texts } from '../texts'
import { Icon } from './Icon'
import type { Choice } from './Menu'

interface Props {
  choices: (Choice | null)[]
  /** From the beginning. */
  open: boolean
  /** The button that opens it. */
  children: ReactNode
}

/** The list of a menu and what the keyboard does in it. Not modal: a modal one would need a style of its own in the page. */
export function MenuList({ choices, open, children }: Props) {
  const away = useAway()
  return (
    <Radix.Root modal={false} defaultOpen={open}>
      <Radix.Trigger asChild>{children}</Radix.Trigger>
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
