// The same function with the stock BullMQ package, straight into Redis.
//
//     supabase secrets set REDIS_URL=rediss://default:…@redis.example.com:6380
//     supabase functions deploy verify-kyc-bullmq
//
// The layout is BullMQ's, so nothing of Corral is needed here. What the HTTP version gets from Corral is done
// by hand: the data is checked before it is queued, and the job brings its own priority, attempts and backoff.

import { type Job, Queue } from "npm:bullmq@6.7.0";
import { Redis } from "npm:ioredis@6.0.0";
import { answer, serve, type Verification } from "../_shared/http.ts";

const REQUIRED = ["documentType", "documentNumber", "frontImageUrl", "provider"] as const;
const CHOICES: Record<string, readonly string[]> = {
  documentType: ["passport", "id_card", "driving_license"],
  provider: ["onfido", "idenfy"],
};

Deno.serve((request) =>
  serve(request, async (userId, data) => {
    const wrong = fault(data);
    if (wrong) return answer(422, { message: wrong });
    const repeat = request.headers.get("Idempotency-Key");
    // A job id that there is already adds nothing. No colon: BullMQ has its own use for it.
    const jobId = repeat ? `${userId}-${repeat.replaceAll(":", "_")}` : undefined;
    const job = await add({ ...data as unknown as Verification, userId }, jobId);
    return answer(202, { jobId: job.id, status: "queued" });
  })
);

/** One connection a request: an isolate may be frozen between two, and a connection with it. */
async function add(data: Verification & { userId: string }, jobId?: string): Promise<Job> {
  const connection = new Redis(Deno.env.get("REDIS_URL") ?? "", {
    maxRetriesPerRequest: 1,
    connectTimeout: 5_000,
    retryStrategy: () => null,
  });
  connection.on("error", (error: Error) => console.error("redis", error.message));
  const queue = new Queue("kyc-verification", { connection, prefix: Deno.env.get("CORRAL_PREFIX") ?? "bull" });
  try {
    return await queue.add("verify", data, {
      jobId,
      priority: 1,
      attempts: 3,
      backoff: { type: "exponential", delay: 60_000 },
    });
  } finally {
    await queue.close();
    connection.disconnect();
  }
}

/** What is wrong with the data, or null. */
function fault(data: Record<string, unknown>): string | null {
  const missing = REQUIRED.find((name) => typeof data[name] !== "string" || data[name] === "");
  if (missing) return `${missing} is missing.`;
  const other = Object.keys(CHOICES).find((name) => !CHOICES[name].includes(data[name] as string));
  return other ? `${other} must be one of ${CHOICES[other].join(", ")}.` : null;
}
