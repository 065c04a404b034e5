import { useQuery } from '@tanstack/react-query'
import { answered, api } from '../api/client'
import { useSession } from '../api/session'
import { SkeletonRows } from '../parts/Skeleton'
import { Staleness } from '../parts/Staleness'
import { texts } from '../texts'

const t = texts.settings

export function Users() {
  const listed = useQuery({ queryKey: ['users'], queryFn: () => answered(api.GET('/api/v1/settings/users')), staleTime: 60_000 })
  const me = useSession().data?.user
  const users = listed.data?.users ?? []
  return (
    <>
      <Staleness of={listed} />
      <p className="pad head small quiet">{t.usersLead}</p>
      {listed.isPending && <SkeletonRows />}
      {listed.data?.problem && (
        <p className="banner stale" role="alert">
          {listed.data.problem}
        </p>
      )}
      {listed.data && users.length === 0 && !listed.data.problem && (
        <div className="empty">
          <h3>{t.noUsers}</h3>
          <p>{t.noUsersWhy}</p>
        </div>
      )}
      {users.length > 0 && (
        <table className="table rows">
          <thead>
            <tr>
              <th>{t.user}</th>
              <th>{t.role}</th>
              <th>{t.payloads}</th>
            </tr>
          </thead>
          <tbody>
            {users.map((user) => (
              <tr key={user.name}>
                <td className="full">
                  <b className="strong">{user.name}</b> {user.name === me && <span className="quiet">{t.you}</span>}
                </td>
                <td data-l={t.role}>{user.role}</td>
                <td data-l={t.payloads} className={user.payloads ? '' : 'quiet'}>
                  {user.payloads ? t.yes : t.no}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <section className="pad how">
        <h2>{t.addUser}</h2>
        <ol>
          {t.addUserSteps.map((step, at) => (
            <li key={step}>
              {step} {at === 0 && <code>{t.addUserCommand}</code>}
            </li>
          ))}
        </ol>
      </section>
    </>
  )
}
