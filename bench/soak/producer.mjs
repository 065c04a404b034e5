// The stock Node producer: producer.mjs <node_modules> <connection as JSON> <prefix> <first> <step> <rate>
// It speaks the lines of producer.py, but for the clock: BullMQ counts delays by its own. ioredis keeps its defaults: it sends again what a lost connection left open.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const [folder, connection, prefix, first, step, rate] = process.argv.slice(2);
const { Queue } = createRequire(`${folder}/`)('bullmq');
const PATIENCE_MS = 15000, MOST_OPEN = 400;

let version = 1, stopped = false, open = 0;
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const order = JSON.parse(line);
    version = order.version ?? version;
    stopped = order.stop ?? stopped;
  })
  .on('close', () => { stopped = true; });

const queue = new Queue('soak', { connection: JSON.parse(connection), prefix });
queue.on('error', () => undefined); // outages are expected
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function one(number) {
  open += 1;
  const opts = { attempts: 3, backoff: { type: 'fixed', delay: 500 } };
  if (number % 20 === 3) opts.delay = 1000;
  try {
    const job = await queue.add(`count-v${version}`, { n: number }, opts);
    say({ number, job: job.id, error: '' });
  } catch (error) {
    say({ number, job: null, error: String(error?.message ?? error).slice(0, 200) });
  }
  open -= 1;
}

let due = performance.now();
for (let number = Number(first); !stopped; ) {
  if (open < MOST_OPEN) {
    one(number);
    number += Number(step);
  }
  due = Math.max(due + 1000 / Number(rate), performance.now() - 1000);
  await sleep(Math.max(0, due - performance.now()));
}
for (const end = performance.now() + PATIENCE_MS; open && performance.now() < end; ) await sleep(50);
process.exit(0);
