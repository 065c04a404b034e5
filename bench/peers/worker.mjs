// BullMQ's worker on Node: node worker.mjs <redis url> <concurrency>
import { Worker } from 'bullmq';
import { connection } from './connection.mjs';

const [url, concurrency] = process.argv.slice(2);
const worker = new Worker('bench', async () => {}, {
  connection: connection(url),
  concurrency: Number(concurrency),
  autorun: false,
});
await worker.waitUntilReady();
console.log(JSON.stringify({ ready: true }));
worker.run();
process.on('SIGTERM', () => process.exit(0));
