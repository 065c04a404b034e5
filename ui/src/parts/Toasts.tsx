import { useKeys } from '../shell/useKeys'
import { texts } from '../texts'
import { ActButton } from './ActButton'
import { Icon } from './Icon'
import { holdToast, toast, undoNow, useToast } from './toasting'

/** The one toast of the page; `u` takes back what it tells. */
export function Toasts() {
  const shown = useToast()
  useKeys({ u: shown?.undo && { says: texts.keys.undo, acts: true, run: () => void undoNow() } })
  return (
    <div role="status" aria-live="polite">
      {shown && (
        <div className="toast" onMouseEnter={() => holdToast(true)} onMouseLeave={() => holdToast(false)}>
          <span className="toast-says">
            {shown.failed && <b>{texts.parts.notDone} </b>}
            {shown.says} {shown.detail && <span className="dim">{shown.detail}</span>}
          </span>
          {shown.undo && (
            <ActButton className="btn sm" title={texts.parts.undoTitle} onClick={() => void undoNow()}>
              {texts.parts.undo}
            </ActButton>
          )}
          <button className="icon-btn" title={texts.parts.close} onClick={() => toast(null)}>
            <Icon name="close" />
          </button>
        </div>
      )}
    </div>
  )
}
