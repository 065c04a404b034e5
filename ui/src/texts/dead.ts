/** The page of dead letters. */
export const dead = {
  chosen: 'Chosen groups',
  groups: (n: number) => (n === 1 ? '1 group' : `${n} groups`),
  jobs: (n: string) => `${n} jobs`,
  retryAt: (rate: number) => `Retry at ${rate}/s`,
  resolve: 'Resolve',
  discard: 'Discard',
  discardMany: (n: string) => `Discard ${n}`,
  clear: 'Clear',
  moreThanBin: 'More than the bin takes back: discard each group by itself',
  stop: 'Stop',
  cancel: 'Cancel',

  selectGroup: (error: string, queue: string) => `Select ${error} of ${queue}`,
  noStack: 'without a stack',
  between: (from: string, to: string) => `${from} to ${to}`,
  to: 'to',
  notes: (n: number) => (n === 1 ? '1 note' : `${n} notes`),
  jobsUnit: 'jobs',
  lastHour: (n: number | undefined) => (n === undefined ? 'not counted' : `${n} in the last hour`),

  ignoreSays: 'New failures are counted, but the group is not among the open ones.',
  untilWhen: 'Until when',
  spans: { hour: 'For 1 hour', half: 'For 12 hours', week: 'For 7 days', opened: 'Until somebody opens it' },
  orFailures: 'Or until so many more have failed, if that is sooner',
  anyNumber: 'any number',
  ignore: 'Ignore',

  discardTitle: (n: string) => `Discard ${n} dead letters`,
  binHas: (room: string, final: string) => `The bin has room for ${room} of them. ${final} would be gone for good.`,
  typeBefore: 'Type',
  typeAfter: 'to discard them',
  keep: 'Keep them',

  editTitle: (name: string, id: string) => `Edit ${name}, job ${id}`,
  editSays: 'What it has now is kept for 7 days.',
  dataAsJson: 'Data, as JSON',
  onlySave: 'Only save',
  saveAndRetry: 'Save and retry',

  redacted: 'what it said is for those who may see payloads',
}
