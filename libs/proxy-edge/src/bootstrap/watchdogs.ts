import type { Bootstrap, Watchdog, Watchdogs } from '@meltemi/api/gen/envoy/config/bootstrap/v3/bootstrap.ts';
import { checkFields, durationMs, refuse, use, warn, type FieldTable, type Report } from '@meltemi/route';
import { defaultWatchdog, type WatchdogLimits } from '../control/watchdog.ts';

/** How worker threads are watched: watchdogs.worker_watchdog, Envoy's defaults where it says nothing. The report gets what cannot be. */
export function compileWatchdogs({ watchdogs }: Bootstrap, report: Report): WatchdogLimits {
  if (!watchdogs) return defaultWatchdog;
  checkFields(watchdogs, threads, 'watchdogs', report);
  const worker = watchdogs.workerWatchdog;
  if (!worker) return defaultWatchdog;
  const at = 'watchdogs.worker_watchdog';
  checkFields(worker, settings, at, report);
  const limits = { missMs: durationMs(worker.missTimeout, defaultWatchdog.missMs), megaMissMs: durationMs(worker.megamissTimeout, defaultWatchdog.megaMissMs), killMs: durationMs(worker.killTimeout, defaultWatchdog.killMs) };
  if (limits.missMs < shortestMs) report.refuse(`${at}.miss_timeout`, `${limits.missMs} ms is shorter than the ${shortestMs} ms in which a thread can be expected to answer`);
  if (limits.killMs > 0 && limits.killMs < limits.megaMissMs) report.refuse(`${at}.kill_timeout`, `${limits.killMs} ms is shorter than megamiss_timeout (${limits.megaMissMs} ms): make it longer, or 0 for never`);
  return limits;
}

const shortestMs = 10;

const threads: FieldTable<Watchdogs> = { mainThreadWatchdog: warn('no request passes through the main thread: only workers are watched'), workerWatchdog: use };

const settings: FieldTable<Watchdog> = {
  missTimeout: use, megamissTimeout: use, killTimeout: use,
  maxKillTimeoutJitter: warn('a hanging worker is replaced alone: there is nothing to spread'),
  multikillTimeout: warn('each hanging worker is replaced for itself'), multikillThreshold: warn('each hanging worker is replaced for itself'),
  actions: refuse('watchdog actions are extensions of Envoy: misses are logged and counted'),
};
