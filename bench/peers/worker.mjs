// BullMQ's worker on Node: node worker.mjs <url> <concurrency> [noop|stamp|fail-once|sleep]
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'bullmq';
import { connection } from './connection.mjs';
import { record } from './recorder.mjs';

const [url, concurrency, kind = 'noop'] = process.argv.slice(2);
const handlers = {
  noop: async () => {},
  stamp: async (job) => record(job.data.sent),
  'fail-once': async (job) => {
    record(0);
    if (job.attemptsMade === 0) throw new Error('as asked');
  },
  sleep: async () => {
    record(0);
    await sleep(2000);
  },
};
const worker = new Worker('bench', handlers[kind], {
  connection: connection(url),
  concurrency: Number(concurrency),
  autorun: false,
});
let lost = 0;
worker.on('error', (error) => {
  if (/lock/i.test(error.message)) lost++;
});
await worker.waitUntilReady();
const lag = monitorEventLoopDelay({ resolution: 10 });
console.log(JSON.stringify({ ready: true }));
let started = false;
// The first line starts it; each later one asks how it is.
createInterface({ input: process.stdin }).on('line', () => {
  if (!started) {
    started = true;
    worker.run();
    lag.enable();
    return;
  }
  // The histogram holds whole intervals, the lag is what they are longer than asked for.
  console.log(JSON.stringify({ lag_p99_ms: Math.max(0, lag.percentile(99) / 1e6 - 10), lost }));
});
process.on('SIGTERM', () => process.exit(0));
