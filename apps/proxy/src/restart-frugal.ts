/**
 * What a process must have from its first breath on to stay small, and what it is worth (RSS after load: 131 → 105 MB; CPU per request does not
 * tell them apart): one malloc arena instead of one per thread; blocks of 32 KB and more from the system and back to it, most of all the compilers' work areas
 * (malloc's own heap shrinks only from its end, and kept 10 MB for each worker); a small young generation where no traffic is; the middle compiler, whose work
 * areas are never given back, left out; no copy of V8's builtins beside each thread's code, which saves longer jumps but 2 MB a thread; and the means to tidy up after the start (tidyMemory). The heap itself stays unlimited. Larger inlining limits are
 * worth 4 to 8 % of CPU per request: a request runs through some hundred small methods.
 */
const environment = { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '32768' } as const;
const flags = ['--max-semi-space-size=1', '--no-maglev', '--no-short-builtin-calls', '--expose-gc', '--max-inlined-bytecode-size=800', '--max-inlined-bytecode-size-cumulative=2000'] as const;

/** Starts the program over in the same process (same pid, same files) with these settings, unless it has them. */
export function restartFrugal(): void {
  const { execArgv, execPath, argv, env } = process;
  // Under a launcher with a channel to it (bin/), the channel would not survive. On other systems there is no execve.
  if (env['MALLOC_ARENA_MAX'] !== undefined || process.connected || process.execve === undefined || process.platform !== 'linux') return;
  process.execve(execPath, [execPath, ...flags, ...execArgv, ...argv.slice(1)], { ...env, ...environment });
}
