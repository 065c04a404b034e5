// Makes sets of pictures with sharp, on request: one JSON line in, one out.
//
//   {"sizes": [{"width", "height", "format"}], "images": 8, "inFlight": 2}   ->   {"seconds", "bytes": [...]}
//   {"sizes": [...], "folder": "/where/to"}                                  ->   {"files": [...]}
//
// The source file is the first argument; UV_THREADPOOL_SIZE says how many threads there are. Each size is a
// pipeline of its own on the same buffer, all started at once: the way sharp's documentation shows it.
import { readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import sharp from 'sharp';

const source = await readFile(process.argv[2]);
sharp.cache(false);
sharp.concurrency(1);

const OPTIONS = {
  jpeg: { quality: 80 },
  webp: { quality: 80, effort: 4 },
};

function make({ width, height, format }) {
  return sharp(source)
    .autoOrient()
    .resize(width, height, { fit: 'inside', withoutEnlargement: true })
    .toFormat(format, OPTIONS[format])
    .toBuffer();
}

const makeSet = (sizes) => Promise.all(sizes.map(make));

async function measure({ sizes, images, inFlight }) {
  let left = images;
  let last;
  const lane = async () => {
    while (left-- > 0) last = await makeSet(sizes);
  };
  const start = process.hrtime.bigint();
  await Promise.all(Array.from({ length: inFlight }, lane));
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  return { seconds, bytes: last.map((file) => file.length) };
}

async function write({ sizes, folder }) {
  const files = await makeSet(sizes);
  const names = files.map((_, n) => `${folder}/sharp-${n}.${sizes[n].format}`);
  await Promise.all(files.map((file, n) => writeFile(names[n], file)));
  return { files: names };
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const answer = request.folder ? await write(request) : await measure(request);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
