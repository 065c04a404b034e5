// Stock Bull Board on Express, on an ephemeral loopback port: board.mjs <redis url> <queue>…
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import express from 'express';
import { bullmq, connection, emit, serve } from './lines.mjs';

const { Queue } = bullmq();
const [url, ...names] = process.argv.slice(2);
const queues = names.map((name) => new Queue(name, { connection: connection(url) }));
const serverAdapter = new ExpressAdapter();
createBullBoard({ queues: queues.map((queue) => new BullMQAdapter(queue)), serverAdapter });
const app = express();
app.use('/', serverAdapter.getRouter());
const server = app.listen(0, '127.0.0.1', () => {
  emit({ event: 'listening', port: server.address().port });
  serve({}, async () => {
    server.close();
    await Promise.all(queues.map((queue) => queue.close()));
  });
});
