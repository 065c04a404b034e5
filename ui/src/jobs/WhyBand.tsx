import type { ReactNode } from 'react'
import { Icon, type IconName } from '../parts/Icon'

interface Props {
  level: 'trouble' | 'watch' | 'calm'
  icon: IconName
  says: string
  more?: ReactNode
  children?: ReactNode
}

/** What is wrong, why, and the one button that repairs it. */
export function WhyBand({ level, icon, says, more, children }: Props) {
  return (
    <div className={`why ${level === 'trouble' ? '' : level}`}>
      <Icon name={icon} />
      <div>
        <p>
          <b className="strong">{says}</b>
        </p>
        {more && <p>{more}</p>}
      </div>
      {children}
    </div>
  )
}
