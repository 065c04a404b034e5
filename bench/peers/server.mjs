// Fastify + BullMQ, doing what Corral's POST /verify-kyc does: node server.mjs <redis url> <port> <key>
// The same checks (bearer key, the data's schema), the same policy, the same answer.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Queue } from 'bullmq';
import Fastify from 'fastify';
import { connection } from './connection.mjs';

const [url, port, key] = process.argv.slice(2);
const queue = new Queue('kyc-verification', { connection: connection(url) });
await queue.waitUntilReady();
const digest = (text) => createHash('sha256').update(text).digest();
const expected = digest(`Bearer ${key}`);
const text = { type: 'string', minLength: 1, maxLength: 2000 };
const schema = {
  body: {
    type: 'object',
    required: ['userId', 'documentType', 'documentNumber', 'frontImageUrl', 'provider'],
    properties: {
      userId: text,
      documentType: { enum: ['passport', 'id_card', 'driving_license'] },
      documentNumber: text,
      frontImageUrl: text,
      backImageUrl: text,
      provider: { enum: ['onfido', 'idenfy'] },
    },
  },
  response: {
    202: {
      type: 'object',
      properties: { jobId: text, status: text, message: text },
    },
  },
};
const opts = { priority: 1, attempts: 3, backoff: { type: 'exponential', delay: 60000 } };
const app = Fastify({ logger: false });
app.addHook('onRequest', async (request, reply) => {
  if (!timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) {
    reply.code(401).send({ status: 'unauthorized' });
    return reply;
  }
});
app.post('/verify-kyc', { schema }, async (request, reply) => {
  const jobId = `kyc-${randomBytes(10).toString('hex')}`;
  const job = await queue.add('verify', request.body, { ...opts, jobId });
  reply.code(202);
  return {
    jobId: job.id,
    status: 'queued',
    message: `Verification queued. Follow it at GET /job-status/${job.id}.`,
  };
});
process.on('SIGTERM', () => process.exit(0));
await app.listen({ port: Number(port), host: '127.0.0.1' });
console.log(JSON.stringify({ ready: true }));
