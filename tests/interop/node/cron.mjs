// The cron-parser that the BullMQ under test uses, asked for the next runs: cron.mjs
import { createRequire } from 'node:module';
import { serve, whereBullmqIs } from './lines.mjs';

const parser = createRequire(whereBullmqIs())('cron-parser');
const parse = parser.CronExpressionParser?.parse ?? parser.parseExpression; // version 5, version 4

serve(
  {
    next: (pattern, tz, afterMs, count) => {
      const runs = parse(pattern, { tz, currentDate: new Date(afterMs) });
      return Array.from({ length: count }, () => runs.next().getTime());
    },
  },
  () => undefined,
);
