import { systemClock, type Lifecycle } from '@meltemi/base';
import { FollowedFile, type CitadelLog } from '@meltemi/citadel-edge';
import type { StatsRegistry } from '@meltemi/observe';

/** A file that a flag names, and how what it says is put in force. */
export interface SettingsFile {
  readonly flag: string;
  readonly path: string;
  readonly text: string;
  readonly maxBytes: number;
  readonly take: (text: string) => Promise<void>;
}

export interface FollowingParts {
  readonly log: CitadelLog;
  readonly stats: StatsRegistry;
  readonly lifecycle: Lifecycle;
  /** Told what is wrong, for health and status. */
  readonly readiness: { note(why: () => string | undefined): () => void };
}

/** Follows files of settings while citadel runs. Returns what is wrong with them now, a line each. */
export function followFiles(files: readonly SettingsFile[], { log, stats, lifecycle, readiness }: FollowingParts): () => string[] {
  const stale = stats.gauge('citadel_server_settings_stale', '1 while a file of settings cannot be used and what it said before is in force.', ['flag']);
  const followed = files.map(({ flag, ...file }) => {
    const gauge = stale.labels(flag);
    gauge.set(0);
    const following = new FollowedFile({
      ...file, clock: systemClock,
      onTaken: () => log.info({ audit: true, flag, path: file.path }, 'a file of settings has changed and is in force'),
      onProblem: (reason) => {
        gauge.set(reason === '' ? 0 : 1);
        if (reason === '') log.info({ flag, path: file.path }, 'a file of settings can be used again');
        else log.error({ audit: true, flag, path: file.path, reason }, 'a file of settings cannot be used; what it said before stays in force');
      },
    }).start();
    lifecycle.add(`file of --${flag}`, () => following.stop());
    return { flag, following };
  });
  const problems = followed.map(({ flag, following }) => () => (following.problem === '' ? undefined : `--${flag} cannot be used, what it said before is in force: ${following.problem}`));
  for (const problem of problems) readiness.note(problem);
  return () => problems.flatMap((problem) => problem() ?? []);
}
