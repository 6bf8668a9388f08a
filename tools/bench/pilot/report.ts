import { spread, spreadText, table } from '../statistics.ts';

/** What one step cost pilot: all of its threads. */
export interface Cost {
  readonly cpuMs: number;
  readonly bytes: number;
  readonly elapsedMs: number;
}

/** What was measured with so many clients connected. */
export interface Step {
  readonly clients: number;
  /** One more client, on average. */
  readonly connect: Cost;
  readonly endpoint: readonly Cost[];
  readonly route: readonly Cost[];
  readonly rssBytes: number;
  readonly rssAfterBytes: number;
}

export interface MeshResult {
  readonly services: number;
  readonly endpoints: number;
  readonly rules: number;
  readonly start: Cost;
  readonly first: Cost;
  readonly rssStartBytes: number;
  readonly steps: readonly Step[];
}

const mb = (bytes: number) => (bytes / 2 ** 20).toFixed(0);

/** One mesh as a table. */
export function report({ services, endpoints, rules, start, first, rssStartBytes, steps }: MeshResult): string {
  const row = (name: string, costs: readonly Cost[], clients: number) => [name, ...(['cpuMs', 'elapsedMs'] as const).map((field) => spreadText(spread(costs.map((cost) => cost[field])), 1)), spreadText(spread(costs.map((cost) => cost.bytes / clients)), 0)];
  const rows = [
    row('first snapshot (start)', [start], 1), row('first client', [first], 1),
    ...steps.flatMap(({ clients, connect, endpoint, route }) => [row(`a new client, up to ${clients}`, [connect], 1), row(`one endpoint, ${clients} clients`, endpoint, clients), row(`one VirtualService, ${clients} clients`, route, clients)]),
  ];
  const memory = steps.map(({ clients, rssBytes, rssAfterBytes }) => `${clients} clients ${mb(rssBytes)} MB (${((rssBytes - rssStartBytes) / clients / 1024).toFixed(0)} kB each), after the changes ${mb(rssAfterBytes)}`);
  return `${services} services with ${endpoints} endpoints each, ${rules} VirtualServices and DestinationRules\n${table([['', 'CPU ms', 'elapsed ms', 'bytes per client'], ...rows])}\n\nRSS: started ${mb(rssStartBytes)} MB (${(rssStartBytes / services / 1024).toFixed(0)} kB per service); ${memory.join('; ')}`;
}

/** How each number grows from one size to the next. */
export function growthTable(results: readonly MeshResult[]): string {
  const numbers = ({ start, first, rssStartBytes, steps }: MeshResult): Record<string, number> => ({
    'first snapshot, CPU': start.cpuMs, 'first client, CPU': first.cpuMs, 'RSS when started': rssStartBytes,
    ...Object.fromEntries(steps.flatMap(({ clients, connect, endpoint, route, rssBytes }) => [
      [`a new client up to ${clients}, CPU`, connect.cpuMs], [`one endpoint, ${clients} clients, CPU`, spread(endpoint.map((cost) => cost.cpuMs)).median],
      [`one VirtualService, ${clients} clients, CPU`, spread(route.map((cost) => cost.cpuMs)).median], [`RSS with ${clients} clients`, rssBytes],
    ])),
  });
  const all = results.map(numbers);
  const rows = Object.keys(all[0] ?? {}).map((name) => [name, ...all.slice(1).map((each, index) => ((each[name] ?? 0) / (all[index]?.[name] ?? 1)).toFixed(2))]);
  return table([['growth, ×', ...results.slice(1).map(({ services }, index) => `${results[index]?.services ?? 0} → ${services}`)], ...rows]);
}
