import { count } from '../format'

/** The page of workers. */
export const workers = {
  title: 'Workers',
  marks: { running: 'Running', quiet: 'Quiet: takes no new jobs', behind: 'Missed the last deploy', silent: 'Its beat is missing' },
  heardAt: (at: string) => `Last heard of at ${at}; not known now`,
  busyOn: (busy: string, slots: string, hosts: number) => `${busy} of ${slots} slots busy on ${hosts === 1 ? 'one host' : `${hosts} hosts`}.`,
  askStop: (name: string) => `Stop ${name}?`,
  askQuiet: (name: string) => `Let ${name} take no new jobs?`,
  stopSays:
    'It ends the jobs it has, as with SIGTERM; what does not end in time goes back to its queue. A supervisor starts a fresh process in its place.',
  quietSays: 'It ends the jobs it has and stays, idle, until it is stopped. There is no way back but a fresh process.',
  stop: 'Stop it',
  quiet: 'Make it quiet',
  leave: 'Leave it',
  skew: (who: string, others: string) => `${who}, ${others}.`,
  behindRuns: (names: readonly string[], versions: readonly string[]) =>
    `${names.length <= 2 ? names.join(' and ') : `${names.length} processes`} ${names.length === 1 ? 'runs' : 'run'} ${versions.join(' and ')}`,
  othersRun: (others: number, version: string) => (others === 1 ? `the other one ${version}` : `the other ${others} run ${version}`),
  notReplaced: (several: boolean) =>
    `${several ? 'They were' : 'It was'} not replaced when the last version came. Nothing is lost as long as each knows the jobs it gets.`,
  processesOf: (n: number, host: string) => `${n} processes of ${host}`,
  told: (who: string, quiet: boolean) => (quiet ? `${who} told to take no new jobs` : `${who} told to stop`),
  notTold: (name: string, quiet: boolean) => `${name} not told to ${quiet ? 'go quiet' : 'stop'}.`,
  stopName: (name: string) => `Stop ${name}`,
  nobodyTitle: 'No worker runs',
  nobody: 'Jobs wait until one does. A process is here within five seconds of its start, and gone 20 seconds after its last beat.',
  start: 'corral worker',
  worker: 'Worker',
  version: 'Version',
  slotsByQueue: 'Slots, by queue',
  cpu: 'CPU',
  memory: 'Memory',
  loop: 'Loop stopped',
  beat: 'Last beat',
  actions: 'Actions',
  host: (processes: number, busy: number, slots: number, memory: string) =>
    `${processes === 1 ? 'one process' : `${processes} processes`} · ${count(busy)} of ${count(slots)} busy · ${memory}`,
  up: (time: string) => `up ${time}`,
  slots: (busy: number, slots: number) => `Slots: ${count(busy)} of ${count(slots)}`,
  place: (queue: string, busy: number, slots: number) => `${queue}: ${count(busy)} of ${count(slots)}`,
  busyOf: (busy: number, slots: number, queues: readonly string[]) =>
    `${count(busy)} of ${count(slots)} · ${queues.length === 1 ? queues[0] : `${queues.length} queues`}`,
  percent: (n: number) => `${n}\u00a0%`,
  quietOrStop: (name: string) => `Quiet or stop ${name}`,
  quietChoice: 'Take no new jobs…',
  stopChoice: 'Stop…',
  jobsIn: (name: string) => `Jobs in the slots of ${name}, those that run longest`,
  later: (n: string) => `and ${n} that started later`,
  decisions: 'Scaling decisions',
  newestFirst: 'newest first',
  noDecision: 'No process was started or stopped by itself.',
  processes: 'corral worker --processes 2..12',
  followsLoad: 'lets their number follow the load.',
  stays: (n: number) => `Stays at ${n}`,
  from: (before: number, after: number) => `${before} → ${after}`,
  onHost: (host: string, obstacle: string) => `on ${host}${obstacle && `, ${obstacle}`}`,
  /** Why so many processes, without what stands above it: the number, and the queue if the reason names it. */
  because: (queue: string | null, reason: string) => {
    const why = reason.replace(/^(stays \d+|\d+→\d+): /, '')
    return queue && !why.startsWith(queue) ? `${queue}: ${why}` : why
  },
}
