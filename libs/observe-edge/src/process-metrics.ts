import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { StatsRegistry } from '@meltemi/observe';

/** CPU, memory, uptime and event-loop delay of this process under Prometheus' usual names; measured when read. Returns the stop. */
export function measureProcess(stats: StatsRegistry): () => void {
  const cpu = stats.counter('process_cpu_seconds_total', 'User and system CPU time in seconds.').labels();
  const resident = stats.gauge('process_resident_memory_bytes', 'Resident memory in bytes.').labels();
  const heap = stats.gauge('nodejs_heap_size_used_bytes', 'Used JavaScript heap in bytes.').labels();
  const lag = stats.gauge('nodejs_eventloop_lag_p99_seconds', 'Event-loop delay, p99 since the last scrape, in seconds.').labels();
  stats.gauge('process_start_time_seconds', 'Start time in seconds since the epoch.').labels().set(Math.round(Date.now() / 1000 - process.uptime()));
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  stats.beforeRead(() => {
    const usage = process.cpuUsage();
    cpu.inc((usage.user + usage.system) / 1e6 - cpu.value);
    resident.set(process.memoryUsage.rss());
    heap.set(process.memoryUsage().heapUsed);
    lag.set(delay.count > 0 ? delay.percentile(99) / 1e9 : 0);
    delay.reset();
  });
  return () => delay.disable();
}
