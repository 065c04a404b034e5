// A stock BullMQ producer, observer and operator of one queue: client.mjs <redis url> <queue>
import { bullmq, connection, emit, serve } from './lines.mjs';

const { FlowProducer, Job, Queue, QueueEvents } = bullmq();
const [url, name] = process.argv.slice(2);
const options = { connection: connection(url) };
const queue = new Queue(name, options);
const flows = new FlowProducer(options);
// From the stream's beginning: the queue is new, and nothing may be missed between connect and read.
const events = new QueueEvents(name, { ...options, lastEventId: '0-0' });
await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);

const watched = [
  'added', 'waiting', 'active', 'progress', 'completed', 'failed', 'delayed', 'retries-exhausted',
  'paused', 'resumed', 'removed', 'stalled', 'duplicated', 'deduplicated', 'waiting-children', 'drained',
];
for (const event of watched) {
  events.on(event, (args) => emit({ event, ...args }));
}

async function find(id) {
  const job = await Job.fromId(queue, id);
  if (!job) throw new Error(`no job ${id}`);
  return job;
}

// The root's id, then its children's from left to right, depth first.
function flatten({ job, children = [] }) {
  return [job.id, ...children.flatMap(flatten)];
}

async function picture({ job, children = [] }) {
  return {
    queue: job.queueName,
    id: job.id,
    state: await job.getState(),
    children: await Promise.all(children.map(picture)),
  };
}

serve(
  {
    add: async (jobName, data, opts) => (await queue.add(jobName, data, opts)).id,
    addBulk: async (jobs) => (await queue.addBulk(jobs)).map((job) => job.id),
    flow: async (tree) => (await flows.add(tree)).job.id,
    job: async (id) => (await find(id)).toJSON(),
    state: async (id) => (await find(id)).getState(),
    wait: async (id, ms) => (await find(id)).waitUntilFinished(events, ms),
    promote: async (id) => (await find(id)).promote(),
    retry: async (id, state) => (await find(id)).retry(state),
    childrenValues: async (id) => (await find(id)).getChildrenValues(),
    counts: () => queue.getJobCounts(),
    ids: async (state) => (await queue.getJobs([state])).map((job) => job.id),
    logs: (id) => queue.getJobLogs(id),
    workers: () => queue.getWorkers(),
    workersCount: () => queue.getWorkersCount(),
    dedupJobId: (id) => queue.getDeduplicationJobId(id),
    version: () => queue.getVersion(),
    schedule: async (id, repeat, template = { name: 'tick' }) =>
      (await queue.upsertJobScheduler(id, repeat, template)).id,
    schedulers: () => queue.getJobSchedulers(),
    unschedule: (id) => queue.removeJobScheduler(id),
    setConcurrency: (limit) => queue.setGlobalConcurrency(limit),
    setRateLimit: (max, ms) => queue.setGlobalRateLimit(max, ms),
    limits: async () => ({
      concurrency: await queue.getGlobalConcurrency(), rate: await queue.getGlobalRateLimit(),
    }),
    remove: async (id) => (await find(id)).remove(),
    removeOrphans: () => queue.removeOrphanedJobs(),
    pause: () => queue.pause(),
    resume: () => queue.resume(),
    isPaused: () => queue.isPaused(),
    idsOfFlow: async (tree) => flatten(await flows.add(tree)),
    picture: async (id) => picture(await flows.getFlow({ id, queueName: name })),
    ignoredFailures: async (id) => (await find(id)).getIgnoredChildrenFailures(),
    childCounts: async (id) => (await find(id)).getDependenciesCount(),
    removeChildDependency: async (id) => (await find(id)).removeChildDependency(),
    data: async (id) => (await find(id)).data,
    perPriority: (priorities) => queue.getCountsPerPriority(priorities),
    removeOrphaned: () => queue.removeOrphanedJobs(),
    obliterate: () => queue.obliterate(),
    drain: (delayed) => queue.drain(delayed),
    clean: (grace, limit, state) => queue.clean(grace, limit, state),
    retryAll: (state) => queue.retryJobs({ state }),
    promoteAll: () => queue.promoteJobs(),
    changePriority: async (id, priority) => (await find(id)).changePriority({ priority }),
    changeDelay: async (id, ms) => (await find(id)).changeDelay(ms),
    updateData: async (id, data) => (await find(id)).updateData(data),
    log: async (id, row) => (await find(id)).log(row),
  },
  () => Promise.all([queue.close(), flows.close(), events.close()]),
);
