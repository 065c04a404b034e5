import * as Menu from '@radix-ui/react-dropdown-menu'
import { Icon, type IconName } from './Icon'

export interface Choice {
  name: string
  icon: IconName
  danger?: boolean
  onSelect: () => void
}

/** The actions of one row behind three dots. Not modal: a modal one would need a style of its own in the page. */
export function RowMenu({ label, choices, disabled = false }: { label: string; choices: Choice[]; disabled?: boolean }) {
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger asChild>
        <button className="icon-btn" aria-label={label} title={label} disabled={disabled}>
          <Icon name="more" />
        </button>
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Content className="menu" align="end" sideOffset={4} collisionPadding={8}>
          {choices.map((choice) => (
            <Menu.Item key={choice.name} className={`menu-item ${choice.danger ? 'is-failed' : ''}`} onSelect={choice.onSelect}>
              <Icon name={choice.icon} />
              {choice.name}
            </Menu.Item>
          ))}
        </Menu.Content>
      </Menu.Portal>
    </Menu.Root>
  )
}
