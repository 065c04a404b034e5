import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { answered, api } from '../api/client'
import { type Finding, grouped, isBad, STATUSES, type Status, verdict } from '../checklist/findings'
import { Glyph, type GlyphName } from '../parts/Icon'
import { PageTop } from '../parts/PageTop'
import { SkeletonRows } from '../parts/Skeleton'
import { Time } from '../parts/Time'
import '../work.css'

const LOOKS: Record<Status, { glyph: GlyphName; tone: string; word: string; row: string }> = {
  failure: { glyph: 'failed', tone: 'is-failed', word: 'to repair', row: 'bad' },
  warning: { glyph: 'alert', tone: 'is-limited', word: 'to look at', row: 'soon' },
  unknown: { glyph: 'next', tone: 'quiet', word: 'not known', row: '' },
  note: { glyph: 'waiting', tone: 'quiet', word: 'to know', row: '' },
  ok: { glyph: 'completed', tone: 'is-completed', word: 'well', row: '' },
}

export function Checklist() {
  const report = useQuery({
    queryKey: ['doctor'],
    queryFn: () => answered(api.GET('/api/v1/doctor')),
    refetchInterval: 30_000,
  })
  const [all, setAll] = useState(false)
  const data = report.data
  return (
    <>
      <PageTop query={report}>Checklist</PageTop>
      {report.isPending && <SkeletonRows rows={8} />}
      {data && (
        <>
          <div className="pagehead">
            <div>
              <h1>{verdict(data.counts)}</h1>
              <p className="lead">
                {STATUSES.map((status) => `${data.counts[status] ?? 0} ${LOOKS[status].word}`).join(' · ')}. Looked at <Time at={data.at} />, again each 30 s.
              </p>
            </div>
            <div className="btn-row">
              <span className="choice" role="group" aria-label="Which findings">
                <button aria-pressed={!all} onClick={() => setAll(false)}>
                  What needs a look
                </button>
                <button aria-pressed={all} onClick={() => setAll(true)}>
                  All {data.findings.length}
                </button>
              </span>
              <button className="btn sm" onClick={() => void report.refetch()} disabled={report.isFetching}>
                Look again
              </button>
            </div>
          </div>
          {grouped(data.findings).map(({ subject, findings }) => (
            <Subject key={subject} name={subject} findings={findings} all={all} />
          ))}
        </>
      )}
    </>
  )
}

function Subject({ name, findings, all }: { name: string; findings: Finding[]; all: boolean }) {
  const shown = all ? findings : findings.filter(isBad)
  const well = findings.filter((finding) => finding.status === 'ok').length
  const notes = findings.filter((finding) => finding.status === 'note').length
  return (
    <section className="findings" aria-label={name}>
      <div className="pad head">
        <h2>{name}</h2>
        <span className="small quiet">
          {well} of {findings.length} well
          {notes > 0 && `, ${notes} to know`}
        </span>
      </div>
      {shown.map((finding) => {
        const { glyph, tone, word, row } = LOOKS[finding.status as Status]
        return (
          <div key={finding.check} className={`finding ${row}`}>
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
