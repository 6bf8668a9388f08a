// `npm run bench -- proxy | pilot | authz | citadel`: measures on this machine, alone; see tools/bench/README.md.
import { runPinned } from '../pinned.mjs';

const [which, ...args] = process.argv.slice(2);
if (which === 'proxy') await runPinned('bench/proxy/bench.ts', args, ['meltemi-proxy']);
else if (which === 'pilot') await runPinned('bench/pilot/bench.ts', args, ['meltemi-pilot']);
else if (which === 'authz') await runPinned('bench/authz/bench.ts', args);
else if (which === 'citadel') await runPinned('bench/citadel/bench.ts', args, ['meltemi-citadel']);
else {
  console.error('usage: npm run bench -- proxy|pilot|authz|citadel [options]; --help after any says which options');
  process.exitCode = which === '--help' ? 0 : 2;
}
