// A stock BullMQ worker: worker.mjs <redis url> <queue> [concurrency] [its options as JSON]
// It answers {echo: data, by: "node"}; a job whose data holds {failures: n} fails its first n runs, one with
// {ms: n} takes so long, one with {report: …} tells it as its progress and in its log, and one with
// {family: true} answers with its children's values and ignored failures.
import { bullmq, connection, emit, serve } from './lines.mjs';

const { Worker } = bullmq();
const [url, name, concurrency, options] = process.argv.slice(2);
const worker = new Worker(
  name,
  async (job) => {
    if (job.attemptsMade < (job.data?.failures ?? 0)) throw new Error(`run ${job.attemptsMade + 1} fails`);
    // A parent that tells what it knows of its children: {family: true}.
    if (job.data?.family) {
      const [values, ignored] = [await job.getChildrenValues(), await job.getIgnoredChildrenFailures()];
      return { values: Object.values(values), ignored: Object.values(ignored), by: 'node' };
    }
    if (job.data?.report) {
      await job.updateProgress(job.data.report);
      await job.log(JSON.stringify(job.data.report));
    }
    if (job.data?.ms) await new Promise((resolve) => setTimeout(resolve, job.data.ms));
    return { echo: job.data, by: 'node' };
  },
  { connection: connection(url), concurrency: Number(concurrency ?? 1), name: 'node-worker', ...JSON.parse(options ?? '{}') },
);
await worker.waitUntilReady();
worker.on('completed', (job) => emit({ event: 'completed', jobId: job.id }));
worker.on('failed', (job, error) => emit({ event: 'failed', jobId: job?.id, reason: error.message }));
worker.on('active', (job) => emit({ event: 'active', jobId: job.id }));
worker.on('stalled', (jobId) => emit({ event: 'stalled', jobId }));
serve({ sweep: () => worker.startStalledCheckTimer() }, () => worker.close());
