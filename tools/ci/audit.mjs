// Starts audit.ts on the pinned Node, from whatever Node the machine has.
import { runPinned } from '../pinned.mjs';

await runPinned('ci/audit.ts', process.argv.slice(2));
