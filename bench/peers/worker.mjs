// BullMQ's worker on Node: node worker.mjs <redis url> <concurrency>
import { Worker } from 'bullmq';
import { connection, ready } from './connection.mjs';

const [url, concurrency] = process.argv.slice(2);
const worker = new Worker('bench', async () => {}, {
  connection: connection(url),
  concurrency: Number(concurrency),
  autorun: false,
});
await worker.waitUntilReady();
await ready();
worker.run();
process.on('SIGTERM', () => process.exit(0));
