import { Link, useRouter } from '@tanstack/react-router'
import { count, duration, percent, rate, span } from '../format'
import { ActButton } from '../parts/ActButton'
import { AgeBar } from '../parts/AgeBar'
import { Glyph, Icon } from '../parts/Icon'
import { Menu } from '../parts/Menu'
import { Spark } from '../parts/Spark'
import { waitingTab } from '../jobs/states'
import { worst } from '../queues/series'
import { besides, type Condition, condition, drained, drainedSays, oldestOf, type OverviewQueue, queuedOf } from '../queues/trouble'
import type { RowMarks } from '../shell/useCursor'
import { texts } from '../texts'
import { QueuePickets } from './QueuePickets'
import type { SetPaused } from './usePausing'

const say = texts.overview

interface Props {
  marks: RowMarks
  queue: OverviewQueue
  inGroup: boolean
  /** Its place among all rows, from 0. */
  at: number
  /** Of its last hour, 0 to 1, where an alert fired. */
  alertAt: number | null
  /** Null: nothing may be changed. */
  setPaused: SetPaused | null
}

/** One queue: how it is and why, then its numbers, the age first. */
export function QueueLine({ marks, queue, inGroup, at, alertAt, setPaused }: Props) {
  const { row } = queue
  const now = condition(queue)
  const tone = toneOf(now)
  const oldest = oldestOf(row)
  const dead = row.states['failed'] ?? 0
  const drain = drained(row)
  const stands = now.level === 'trouble' && row.recent.perSecond === 0
  return (
    <tr {...marks} className={`${now.level === 'calm' ? '' : now.level} ${inGroup ? 'in-group' : ''}`} aria-rowindex={at + 2}>
      <td className="full">
        <div className="qname">
          <Glyph name={now.glyph} className={tone || 'quiet'} />
          <Link className="qlink" to="/queues/$queue" params={{ queue: row.queue }} search={{}}>
            <b>{row.queue}</b>
          </Link>
          <span className={`second ${tone}`}>{now.says}</span>
        </div>
      </td>
      <td className="num" data-l={say.columns.waiting}>
        <Link className="plain" to="/queues/$queue" params={{ queue: row.queue }} search={{ state: waitingTab(row.states) }}>
          <span className="strong">{count(queuedOf(row.states))}</span>
        </Link>
        <span className="second hide-narrow">{besides(row.states)}</span>
      </td>
      <td className="two" data-l={say.columns.oldestShort}>
        <span className={oldest > row.objective.age ? 'is-failed strong' : oldest ? '' : 'zero'}>{oldest ? duration(oldest) : say.unknown}</span>
        <span className="quiet">{say.of(span(row.objective.age))}</span>
        <AgeBar seconds={oldest} objective={row.objective.age} />
      </td>
      <td className="num wide-only">{rate(row.recent.arrived / row.recent.windowSeconds)}</td>
      <td className={`num ${stands ? 'is-failed strong' : ''}`} data-l={say.columns.out}>
        {rate(row.recent.perSecond)}
      </td>
      <td className="num wide-only">
        <span className={drain.kind === 'never' && drain.bad ? 'is-failed' : drain.kind === 'in' ? '' : 'zero'}>{drainedSays(drain)}</span>
      </td>
      <td className="num wide-only">
        {percent(row.recent.failureRate)}
        {dead ? (
          <Link className="second plain" to="/dead" search={{ queue: row.queue }}>
            {say.dead(count(dead))}
          </Link>
        ) : (
          <span className="second zero">{say.noneDead}</span>
        )}
      </td>
      <td className="num col-wide wide-only">
        {duration(row.recent.runP95)}
        {row.recent.runP50 != null && <span className="second">{say.p50(duration(row.recent.runP50))}</span>}
      </td>
      <td className="col-wide wide-only">
        {row.slots > 0 ? (
          <>
            <QueuePickets row={row} />
            <span className="second">{(row.states['held'] ? say.slotsHeld : say.slots)(count(row.busy), count(row.slots))}</span>
          </>
        ) : (
          <span className="zero">{say.noSlots}</span>
        )}
      </td>
      <td className="wide-only c-spark">
        <Spark values={queue.waiting} level={now.level} label={sparkSays(queue)} mark={alertAt} />
      </td>
      <td className="num wide-only act">{setPaused && <Actions queue={queue} level={now.level} setPaused={setPaused} />}</td>
    </tr>
  )
}

export function toneOf({ level }: Condition): string {
  return level === 'trouble' ? 'is-failed' : level === 'watch' ? 'is-limited' : ''
}

function sparkSays({ row, waiting }: OverviewQueue): string {
  const missing = waiting.filter((value) => value == null).length
  return say.spark(row.queue, count(queuedOf(row.states)), count(worst(waiting) ?? 0), missing ? say.missing(missing) : '')
}

/** A queue that is well is paused with one press; one in trouble has more to choose from. */
function Actions({ queue: { row }, level, setPaused }: { queue: OverviewQueue; level: Condition['level']; setPaused: SetPaused }) {
  const router = useRouter()
  const turn = () => setPaused(row.queue, !row.paused)
  const icon = row.paused ? 'play' : 'pause'
  if (level === 'trouble') {
    return (
      <Menu
        label={say.more(row.queue)}
        choices={[
          { name: row.paused ? say.resumeVerb : say.pauseVerb, icon, run: turn },
          { name: say.seeDead, icon: 'dead', reads: true, run: () => router.history.push(`/dead?queue=${encodeURIComponent(row.queue)}`) },
          { name: say.seeWorkers, icon: 'workers', reads: true, run: () => router.history.push('/workers') },
        ]}
      />
    )
  }
  const label = (row.paused ? say.resume : say.pause)(row.queue)
  return (
    <ActButton className="icon-btn" aria-label={label} title={label} onClick={turn}>
      <Icon name={icon} />
    </ActButton>
  )
}
