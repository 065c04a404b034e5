// Runs scripts of this folder one after the other, for test after test: loading BullMQ takes longer than most tests.
// On stdin a start {"start": "client.mjs", "args": […], "bullmq": "bullmq5"}, then commands (see lines.mjs),
// then {"stop": true}, which is answered by the event `stopped`. It ends when stdin closes, so a test run that
// dies leaves nothing behind.
import { createInterface } from 'node:readline';
import { answer, begin, emit, end } from './lines.mjs';

let runs = 0;
const lines = createInterface({ input: process.stdin });
lines.on('line', async (line) => {
  const message = JSON.parse(line);
  if (message.start) {
    begin(message.bullmq);
    process.argv.splice(2, Infinity, ...message.args);
    await import(`./${message.start}?${++runs}`); // each start evaluates the script anew
    emit({ event: 'ready' });
  } else if (message.stop) {
    await end();
    emit({ event: 'stopped' });
  } else {
    await answer(message);
  }
});
lines.on('close', async () => {
  await end();
  process.exit(0);
});
