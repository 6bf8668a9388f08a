// `npm run fuzz` and `npm run soak`: the long runs; `npm test` holds short versions of both.
import { runPinned } from '../pinned.mjs';

const [which, ...args] = process.argv.slice(2);
if (which === 'fuzz') await runPinned('fuzz/fuzz.ts', args);
else if (which === 'soak') await runPinned('soak/soak.ts', args, ['meltemi-pilot', 'meltemi-citadel', 'meltemi-telemetry', 'meltemi-proxy', 'meltemi-bookinfo', 'meltemi-cli']);
else {
  console.error('usage: long.mjs fuzz|soak [options]; --help says which');
  process.exitCode = 2;
}
