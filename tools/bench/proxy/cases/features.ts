import { http1Backend } from '../backends.ts';
import { requestMetrics, type BenchCase, type Comparison } from '../case.ts';
import { meshFeatures } from '../peers/shape.ts';
import { checkWithCurl, through, wrkLoad } from '../through.ts';

const bare = 'meltemi bare';
const without = (feature: string) => `meltemi without ${feature}`;

/** What each feature of a mesh costs: all are on but one. */
export const features: BenchCase = {
  name: 'features',
  about: 'our proxy with every feature of a sidecar, without one at a time, and with none but the router; HTTP/1.1, 1 KB',
  metrics: requestMetrics,
  comparisons: [
    ...meshFeatures.map((feature): Comparison => ({ kind: 'difference', metric: 'cpu', of: 'meltemi', to: without(feature), title: `CPU µs of ${feature}`, digits: 1 })),
    { kind: 'difference', metric: 'cpu', of: 'meltemi', to: bare, title: 'CPU µs of all features', digits: 1 },
    { kind: 'ratio', metric: 'cpu', of: bare, to: 'nginx', title: 'CPU per request, meltemi bare / nginx' },
  ],
  async open(bench) {
    const backendPort = await http1Backend(bench);
    const load = wrkLoad({ connections: bench.options.connections });
    const check = checkWithCurl('/', 1024);
    const less = meshFeatures.map((feature) => ({ name: without(feature), features: [feature] }));
    return [
      through('nginx', { shape: { protocol: 'http1', backendPort }, load, check }),
      through('meltemi', { shape: { protocol: 'http1', backendPort }, load, check }),
      ...[...less, { name: bare, features: meshFeatures }].map(({ name, features: off }) => through('meltemi', { name, shape: { protocol: 'http1', backendPort, without: off }, load, check, counted: !off.some((feature) => feature === 'metrics') })),
    ];
  },
};
