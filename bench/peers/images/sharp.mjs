// Makes sets of pictures with sharp and says on stdout, as one JSON line, how long it took.
//
//   node sharp.mjs SOURCE '{"sets": {"name": [{"width", "height", "format"}]}, "pictures": 4, "lanes": 2}'
//     -> {"name": {"seconds", "cpu"}, …}, both in seconds
//   node sharp.mjs SOURCE '{"sizes": [...], "folder": "/where/to"}'
//     -> {"files": [...]}
//
// UV_THREADPOOL_SIZE says how many threads there are. Each size is a pipeline of its own on the same buffer,
// all started at once: the way sharp's documentation shows it.
import { readFile, writeFile } from 'node:fs/promises';
import sharp from 'sharp';

const source = await readFile(process.argv[2]);
const request = JSON.parse(process.argv[3]);
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

async function measure(sizes, pictures, lanes) {
  let left = pictures;
  const lane = async () => {
    while (left-- > 0) await makeSet(sizes);
  };
  const [start, before] = [process.hrtime.bigint(), process.cpuUsage()];
  await Promise.all(Array.from({ length: lanes }, lane));
  const { user, system } = process.cpuUsage(before);
  return { seconds: Number(process.hrtime.bigint() - start) / 1e9, cpu: (user + system) / 1e6 };
}

async function write({ sizes, folder }) {
  const files = await makeSet(sizes);
  const names = files.map((_, n) => `${folder}/sharp-${n}.${sizes[n].format}`);
  await Promise.all(files.map((file, n) => writeFile(names[n], file)));
  return { files: names };
}

async function measureAll({ sets, pictures, lanes }) {
  const found = {};
  for (const [name, sizes] of Object.entries(sets)) {
    await measure(sizes, lanes, lanes); // warm
    found[name] = await measure(sizes, pictures, lanes);
  }
  return found;
}

console.log(JSON.stringify(await (request.folder ? write(request) : measureAll(request))));
