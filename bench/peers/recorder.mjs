// The handlers' stamps, in the form of sides/recorder.py: a file in BENCH_RECORD, written behind the handlers.
import { ftruncateSync, openSync, writeSync } from 'node:fs';

const HEADER = 24;
const CAPACITY = 1 << 20;
let file;
let [count, written, first, last] = [0, 0, 0, 0];
let waiting = [];

// Seconds of the system's monotonic clock, the one of Python's time.monotonic().
export const monotonic = () => Number(process.hrtime.bigint()) / 1e9;

function flush() {
  if (file === undefined) {
    file = openSync(`${process.env.BENCH_RECORD}/${process.pid}.stamps`, 'w+');
    ftruncateSync(file, HEADER + CAPACITY * 8);
  }
  writeSync(file, Buffer.from(Float64Array.from(waiting).buffer), 0, waiting.length * 8, HEADER + written * 8);
  written += waiting.length;
  waiting = [];
  writeSync(file, Buffer.from(Float64Array.of(count, first, last).buffer), 0, HEADER, 0);
}

let timer;
export function record(sent) {
  last = monotonic();
  first ||= last;
  if (++count <= CAPACITY) waiting.push(sent ? last - sent : -1e9);
  timer ??= setTimeout(() => {
    timer = undefined;
    flush();
  }, 2);
}
