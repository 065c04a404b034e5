// BullMQ as a producer on Node: node adder.mjs <url> <bulk|single> <queue> <jobs> <batch> <warm-up>
import { performance } from 'node:perf_hooks';
import { Queue } from 'bullmq';
import { connection, ready } from './connection.mjs';

const [url, way, name, ...numbers] = process.argv.slice(2);
const [jobs, batch, warmUp] = numbers.map(Number);
const queue = new Queue(name, { connection: connection(url) });
await queue.waitUntilReady();

async function add(count) {
  for (let start = 0; start < count; start += batch) {
    const items = [];
    for (let n = start; n < Math.min(count, start + batch); n++) items.push({ userId: 'user-1', n });
    if (way === 'bulk') {
      await queue.addBulk(items.map((data) => ({ name: 'noop', data })));
    } else {
      await Promise.all(items.map((data) => queue.add('noop', data)));
    }
  }
}

await add(warmUp);
await ready();
const started = performance.now();
await add(jobs);
console.log(JSON.stringify({ seconds: (performance.now() - started) / 1000 }));
await queue.close();
