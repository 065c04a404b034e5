import { Dialog } from '../parts/Dialog'
import { texts } from '../texts'
import { Caps } from './Caps'
import { lay } from './overlay'
import { useHolding } from './useKeys'

/** Keys of the shell, which hold on every page. */
const EVERYWHERE = new Set(['/', 'Mod k', 't', '?', 'Escape'])

/** The keys that hold on this page. */
export function KeyList() {
  const all = [...useHolding()].map(([name, deed]) => ({ name, says: deed.says }))
  const parts = [
    { title: texts.keys.here, keys: all.filter(({ name }) => !EVERYWHERE.has(name) && !name.startsWith('g ')) },
    { title: texts.keys.everywhere, keys: [...all.filter(({ name }) => EVERYWHERE.has(name)), { name: 'Esc', says: texts.keys.close }] },
    { title: texts.keys.goTo, keys: all.filter(({ name }) => name.startsWith('g ')) },
  ]
  return (
    <Dialog title={texts.keys.title} look="keys" onClose={() => lay(null)}>
      <div className="key-list">
        {parts.map(
          ({ title, keys }) =>
            keys.length > 0 && (
              <section key={title} aria-label={title}>
                <h4 className="label">{title}</h4>
                <dl>
                  {keys.map(({ name, says }) => (
                    <div key={name}>
                      <dt>{says}</dt>
                      <dd>
                        <Caps name={name} />
                      </dd>
                    </div>
                  ))}
                </dl>
              </section>
            ),
        )}
      </div>
      <div className="btn-row">
        <button className="btn" autoFocus onClick={() => lay(null)}>
          {texts.parts.close}
        </button>
      </div>
    </Dialog>
  )
}
