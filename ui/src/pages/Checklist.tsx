import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { answered, api } from '../api/client'
import { type Finding, grouped, isBad, STATUSES, type Status, verdict } from '../checklist/findings'
import { Glyph, type GlyphName } from '../parts/Icon'
import { PageTop } from '../parts/PageTop'
import { SkeletonRows } from '../parts/Skeleton'
import { Time } from '../parts/Time'
import { type RowMarks, useCursor } from '../shell/useCursor'
import { texts } from '../texts'

const said = texts.checklist

const LOOKS: Record<Status, { glyph: GlyphName; tone: string; word: string; row: string }> = {
  failure: { glyph: 'failed', tone: 'is-failed', word: said.failure, row: 'bad' },
  warning: { glyph: 'alert', tone: 'is-limited', word: said.warning, row: 'soon' },
  unknown: { glyph: 'next', tone: 'quiet', word: said.unknown, row: '' },
  note: { glyph: 'waiting', tone: 'quiet', word: said.note, row: '' },
  ok: { glyph: 'completed', tone: 'is-completed', word: said.ok, row: '' },
}

export function Checklist() {
  const report = useQuery({
    queryKey: ['doctor'],
    queryFn: () => answered(api.GET('/api/v1/doctor')),
    refetchInterval: 30_000,
  })
  const [all, setAll] = useState(false)
  const data = report.data
  const shown = (findings: Finding[]) => (all ? findings : findings.filter(isBad))
  const groups = data ? grouped(data.findings) : []
  const cursor = useCursor(groups.flatMap(({ subject, findings }) => shown(findings).map((finding) => `${subject} ${finding.check}`)))
  return (
    <>
      <PageTop query={report}>{said.title}</PageTop>
      {report.isPending && <SkeletonRows rows={8} />}
      {data && (
        <>
          <div className="pagehead">
            <div>
              <h1>{verdict(data.counts)}</h1>
              <p className="lead">
                {STATUSES.map((status) => said.counted(data.counts[status] ?? 0, LOOKS[status].word)).join(' · ')}. {said.lookedAt} <Time at={data.at} />
                {said.again}
              </p>
            </div>
            <div className="btn-row">
              <span className="choice" role="group" aria-label={said.which}>
                <button aria-pressed={!all} onClick={() => setAll(false)}>
                  {said.needsLook}
                </button>
                <button aria-pressed={all} onClick={() => setAll(true)}>
                  {said.all(data.findings.length)}
                </button>
              </span>
              <button className="btn sm" onClick={() => void report.refetch()} disabled={report.isFetching}>
                {said.lookAgain}
              </button>
            </div>
          </div>
          {groups.map(({ subject, findings }) => (
            <Subject key={subject} name={subject} findings={findings} shown={shown(findings)} row={(check) => cursor.row(`${subject} ${check}`)} />
          ))}
        </>
      )}
    </>
  )
}

interface SubjectProps {
  name: string
  findings: Finding[]
  shown: Finding[]
  row: (check: string) => RowMarks
}

function Subject({ name, findings, shown, row: marks }: SubjectProps) {
  const well = findings.filter((finding) => finding.status === 'ok').length
  const notes = findings.filter((finding) => finding.status === 'note').length
  return (
    <section className="findings" aria-label={name}>
      <div className="pad head">
        <h2>{name}</h2>
        <span className="small quiet">
          {said.wellOf(well, findings.length)}
          {notes > 0 && said.toKnow(notes)}
        </span>
      </div>
      {shown.map((finding) => {
        const { glyph, tone, word, row } = LOOKS[finding.status as Status]
        return (
          <div key={finding.check} className={`finding ${row}`} {...marks(finding.check)}>
            <Glyph name={glyph} className={tone} />
            <p>
              <b className="strong">{finding.check}</b> <span className="sr">{word}</span>
            </p>
            <p>{finding.found}</p>
            {finding.remedy && <p className="todo">{finding.remedy}</p>}
          </div>
        )
      })}
    </section>
  )
}
