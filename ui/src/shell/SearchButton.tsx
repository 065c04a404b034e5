import { Icon } from '../parts/Icon'
import { texts } from '../texts'
import { lay } from './overlay'

/** Looks like the field it opens; on a narrow screen it is the sign alone. */
export function SearchButton() {
  const open = () => lay({ kind: 'palette' })
  return (
    <>
      <button className="search" aria-haspopup="dialog" aria-keyshortcuts="/ Control+K" onClick={open}>
        <Icon name="search" />
        <span>{texts.shell.searchLong}</span>
        <kbd aria-hidden="true">/</kbd>
      </button>
      <button className="icon-btn only-narrow search-narrow" aria-haspopup="dialog" title={texts.shell.search} aria-label={texts.shell.search} onClick={open}>
        <Icon name="search" />
      </button>
    </>
  )
}
