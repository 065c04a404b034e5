import { useQuery } from '@tanstack/react-query'
import { answered, api } from '../api/client'
import { isAway } from '../api/client'
import { Staleness } from '../parts/Staleness'
import { SkeletonRows } from '../parts/Skeleton'
import { texts } from '../texts'

const t = texts.settings

/** Names of queues that one line has room for. */
const NAMED = 8

export function Versions() {
  const about = useQuery({ queryKey: ['about'], queryFn: () => answered(api.GET('/api/v1/settings/about')), staleTime: 30_000, refetchInterval: 30_000 })
  const told = about.data
  return (
    <>
      <Staleness of={about} />
      {about.isPending && <SkeletonRows />}
      {!told && isAway(about.error) && (
        <div className="empty">
          <h3>{t.down}</h3>
          <p>{t.downWhy}</p>
        </div>
      )}
      {told && (
        <div className="columns">
          <section>
            <div className="head">
              <h2>{t.tabs.versions}</h2>
            </div>
            <dl className="kv">
              <Fact name={t.corral}>{told.corral}</Fact>
              {told.release && <Fact name={t.release}>{told.release}</Fact>}
              <Fact name={t.installed}>{told.installed}</Fact>
              <Fact name={t.python}>{told.python}</Fact>
              <Fact name={t.server}>{told.redis}</Fact>
              <Fact name={t.system}>{told.system}</Fact>
            </dl>
          </section>
          <section>
            <div className="head">
              <h2>{t.layouts}</h2>
            </div>
            <p className="small quiet below-small">{t.layoutsWhy}</p>
            <dl className="kv words">
              {told.layouts.map((layout) => (
                <Fact key={layout.mark} name={layout.mark || t.noMark}>
                  {t.queuesWith(layout.queues, NAMED)}
                </Fact>
              ))}
            </dl>
          </section>
          <section>
            <div className="head">
              <h2>{t.encryption}</h2>
            </div>
            <p className="small muted below-small">{encryptionSays(told.encryption)}</p>
            <dl className="kv">
              <Fact name={t.sealsWith}>{told.encryption.current ? <code>{told.encryption.current}</code> : t.noKey}</Fact>
              <Fact name={t.opensWith}>{told.encryption.keys.length ? <code>{told.encryption.keys.join(', ')}</code> : t.noKey}</Fact>
            </dl>
            {told.encryption.keys.length > 0 && (
              <p className="small quiet above">
                {t.checkOld} <code>{t.checkCommand}</code>
              </p>
            )}
          </section>
        </div>
      )}
    </>
  )
}

function encryptionSays({ on, keys, queues }: { on: boolean; keys: string[]; queues: string[] }): string {
  if (on) return t.encryptionOn(queues.includes('all') ? t.encryptionAll : queues.join(', '))
  return keys.length ? t.encryptionNoQueue : t.encryptionOff
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  )
}
