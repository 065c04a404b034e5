// The cron-parser that BullMQ uses, asked for the next runs: cron.mjs
import { CronExpressionParser } from 'cron-parser';
import { serve } from './lines.mjs';

serve(
  {
    next: (pattern, tz, afterMs, count) => {
      const runs = CronExpressionParser.parse(pattern, { tz, currentDate: new Date(afterMs) });
      return Array.from({ length: count }, () => runs.next().getTime());
    },
  },
  () => undefined,
);
