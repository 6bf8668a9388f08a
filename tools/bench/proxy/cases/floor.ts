import { http1Backend } from '../backends.ts';
import { requestMetrics, type BenchCase } from '../case.ts';
import { checkWithCurl, through, wrkLoad } from '../through.ts';

/** What Node and the kernel take for the same reads and writes: our proxy passes the bytes of HTTP/1.1 on as a TCP proxy and looks at none of them. */
export const floor: BenchCase = {
  name: 'floor',
  about: 'the load of the cases plain and tls through our proxy as a TCP proxy: what no HTTP proxy in Node can go below',
  metrics: requestMetrics,
  comparisons: [
    { kind: 'ratio', metric: 'cpu', of: 'meltemi bytes', to: 'nginx', title: 'floor: CPU per request, bytes passed on / nginx' },
    { kind: 'ratio', metric: 'cpu', of: 'meltemi TLS in', to: 'nginx TLS in', title: 'floor: CPU per request, TLS taken off / nginx' },
  ],
  async open(bench) {
    const backendPort = await http1Backend(bench);
    const { connections } = bench.options;
    const tlsIn = { leaf: bench.certificates.server };
    const load = { plain: wrkLoad({ connections }), tls: wrkLoad({ connections }, '/', 'https') };
    const check = { plain: checkWithCurl('/', 1024), tls: checkWithCurl('/', 1024, () => ['--tlsv1.3'], 'https') };
    return [
      through('meltemi', { name: 'meltemi bytes', shape: { protocol: 'tcp', backendPort }, load: load.plain, check: check.plain }),
      through('nginx', { shape: { protocol: 'http1', backendPort }, load: load.plain, check: check.plain }),
      through('meltemi', { name: 'meltemi TLS in', shape: { protocol: 'tcp', backendPort, tlsIn }, load: load.tls, check: check.tls }),
      through('nginx', { name: 'nginx TLS in', shape: { protocol: 'http1', backendPort, tlsIn }, load: load.tls, check: check.tls }),
    ];
  },
};
