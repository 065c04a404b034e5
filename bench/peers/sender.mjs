// BullMQ as a producer of stamped jobs: node sender.mjs <url> <send|pace|later|add> …; see sides/producing.py.
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { connection, ready } from './connection.mjs';
import { monotonic } from './recorder.mjs';

const [url, what, ...rest] = process.argv.slice(2);
const queue = new Queue('bench', { connection: connection(url) });
await queue.waitUntilReady();
const item = (n, sent = 0) => ({ userId: 'user-1', n, sent });
const add = (n, sent, opts) => queue.add('noop', item(n, sent), opts);

async function send() {
  console.log(JSON.stringify({ ready: true }));
  let n = 0;
  for await (const _ of createInterface({ input: process.stdin })) await add(n++, monotonic());
}

async function pace(rate, seconds) {
  await ready();
  const started = monotonic();
  const total = Math.round(rate * seconds);
  const underWay = [];
  for (let n = 0; n < total; ) {
    const due = Math.min(total, Math.floor((monotonic() - started) * rate) + 1);
    for (; n < due; n++) underWay.push(add(n, started + n / rate));
    await sleep(1);
  }
  await Promise.all(underWay);
  console.log(JSON.stringify({ seconds: monotonic() - started, jobs: total }));
}

async function later(jobs, first, spread) {
  await ready();
  const started = monotonic();
  const adds = [];
  for (let n = 0; n < jobs; n++) {
    const due = started + first + (spread * n) / jobs;
    adds.push(add(n, due, { delay: Math.round((due - monotonic()) * 1000) }));
  }
  await Promise.all(adds);
  console.log(JSON.stringify({ seconds: monotonic() - started }));
}

async function addAll(way, jobs, batch, warmUp) {
  for (let n = 0; n < warmUp; n++) await add(n, 0);
  await ready();
  const started = monotonic();
  for (let start = 0; start < jobs; start += batch) {
    const numbers = Array.from({ length: Math.min(batch, jobs - start) }, (_, i) => start + i);
    if (way === 'bulk') await queue.addBulk(numbers.map((n) => ({ name: 'noop', data: item(n) })));
    else await Promise.all(numbers.map((n) => add(n, 0)));
  }
  console.log(JSON.stringify({ seconds: monotonic() - started }));
}

if (what === 'send') await send();
else if (what === 'pace') await pace(...rest.map(Number));
else if (what === 'later') await later(...rest.map(Number));
else await addAll(rest[0], ...rest.slice(1).map(Number));
await queue.close();
