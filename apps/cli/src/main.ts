import { processOutput } from './output.ts';
import { main } from './program.ts';

// A reader that has seen enough (`| head`) ends the command; that is no failure of ours.
process.stdout.on('error', (cause: NodeJS.ErrnoException) => process.exit(cause.code === 'EPIPE' ? 0 : 1));

process.exitCode = await main(process.argv.slice(2), processOutput);
