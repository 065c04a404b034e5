// The production checklist as a page: grouped by subject, worst first. Pure.
import type { components } from '../api/schema'
import { texts } from '../texts'

export type Finding = components['schemas']['FindingRow']
export type Status = 'failure' | 'warning' | 'unknown' | 'note' | 'ok'

/** From bad to well. */
export const STATUSES: Status[] = ['failure', 'warning', 'unknown', 'note', 'ok']

const NAMES: Record<string, string> = texts.checklist.subjects

export function isBad(finding: Finding): boolean {
  return finding.status !== 'ok' && finding.status !== 'note'
}

export interface Group {
  subject: string
  findings: Finding[]
}

/** By subject in the order of the checklist; within one the worst first. */
export function grouped(findings: Finding[]): Group[] {
  const groups = new Map<string, Finding[]>()
  for (const finding of findings) groups.set(finding.subject, [...(groups.get(finding.subject) ?? []), finding])
  const rank = (finding: Finding) => STATUSES.indexOf(finding.status as Status)
  return [...groups].map(([subject, found]) => ({
    subject: NAMES[subject] ?? subject,
    findings: found.sort((a, b) => rank(a) - rank(b)),
  }))
}

/** The sentence over the page. */
export function verdict(counts: Record<string, number>): string {
  const failures = counts['failure'] ?? 0
  const warnings = counts['warning'] ?? 0
  if (failures > 0) return texts.checklist.toRepair(failures)
  if (warnings > 0) return texts.checklist.toLookAt(warnings)
  return (counts['unknown'] ?? 0) > 0 ? texts.checklist.readyAsSeen : texts.checklist.ready
}
