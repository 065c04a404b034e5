/** Why a queue is slow: the sentence over its page, and the one that supports it. */
export const why = {
  waits: (jobs: string, one: boolean, oldest: string) => `${jobs} ${one ? 'job waits' : 'jobs wait'}${oldest && `, the oldest for ${oldest}`}.`,
  held: (jobs: string, one: boolean, provider: string) => `${jobs} ${one ? 'job is' : 'jobs are'} held because ${provider}’s breaker is open.`,
  heldMore: 'They spend no attempt, and run again when it closes.',
  paused: 'Nothing starts because the queue is paused.',
  nothingWaits: 'Nothing waits.',
  unserved: 'Nothing runs because no worker serves this queue.',
  unservedMore: (waits: string) => `${waits} Start a worker for it.`,
  unknown: (names: string) => `No worker knows ${names}.`,
  unknownMore: 'Jobs of these names wait for a day. Deploy a worker with a handler.',
  limited: 'Slow because its rate limit is used up.',
  limitedMore: (waits: string, rest: string) => `${waits} The next start is in ${rest}.`,
  full: (jobs: string) => `Slow because it runs as many jobs as it may: ${jobs}.`,
  growing: (comes: string, goes: string) => `Slow because more comes than goes: ${comes} in, ${goes} out a second.`,
  growingMore: (waits: string) => `${waits} More workers or slots would help.`,
  behind: 'Behind, and catching up.',
  behindMore: (waits: string, takes: string) => `${waits}${takes && ` At this rate that takes ${takes}.`}`,
}
