// What this browser alone is set to: nothing of it leaves it. The page reads them when it starts.

import { showTimesIn } from '../format'

export type Theme = 'system' | 'light' | 'dark'
export type Density = 'normal' | 'compact'

export interface Preferences {
  theme: Theme
  /** For times of the day; empty: the browser's own. */
  zone: string
  density: Density
}

type Store = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>

export function readPreferences(store: Store = localStorage): Preferences {
  const theme = store.getItem('theme')
  const zone = store.getItem('zone') ?? ''
  return {
    theme: theme === 'light' || theme === 'dark' ? theme : 'system',
    zone: isZone(zone) ? zone : '',
    density: store.getItem('density') === 'compact' ? 'compact' : 'normal',
  }
}

/** Keeps what differs from the default; another version of the page finds nothing odd. */
export function keep({ theme, zone, density }: Preferences, store: Store = localStorage): void {
  const put = (name: string, value: string, plain: string) => (value === plain ? store.removeItem(name) : store.setItem(name, value))
  put('theme', theme, 'system')
  put('zone', zone, '')
  put('density', density, 'normal')
}

/** The page as the preferences want it. */
export function apply({ theme, zone, density }: Preferences): void {
  showTimesIn(zone)
  const { dataset } = document.documentElement
  dataset['theme'] = theme === 'system' ? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light') : theme
  dataset['density'] = density
}

function isZone(zone: string): boolean {
  try {
    return zone !== '' && Boolean(new Intl.DateTimeFormat('en', { timeZone: zone }))
  } catch {
    return false
  }
}
