// What the measured programs share: BullMQ's connection options from a URL, and the bench's starting signal.
import { once } from 'node:events';

export function connection(url) {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port), maxRetriesPerRequest: null };
}

// Say that the program is ready, and wait for the bench's line.
export async function ready() {
  console.log(JSON.stringify({ ready: true }));
  await once(process.stdin, 'data');
  process.stdin.unref?.();
}
