import { ServerCredentials } from '@grpc/grpc-js';
import { callerIdentity, connectionBounds, serverCredentials } from '@meltemi/identity-edge';
import { accessesRoute, AccessLogServer, graphRoute, requestsRoute, type AccessLogServerOptions } from '@meltemi/mixer-edge';
import { explainListenError, runProgram, type Address } from '@meltemi/observe-edge';
import { startIdentity } from './identity.ts';
import { checkOptions, options } from './options.ts';
import { createReports } from './reports.ts';

await runProgram({
  name: 'meltemi-telemetry',
  description: "Receives the proxies' access logs, draws the service graph and can count Istio's standard metrics.",
  adminListen: '127.0.0.1:15031',
  adminFlag: 'http-listen',
  options,
  start: async ({ options: values, log, stats, admin, readiness, lifecycle }) => {
    checkOptions(values);
    const { graph, recent, observed, runtime } = createReports({ stats, log, maxEdges: values['max-edges'], idleMs: values['edge-idle-timeout'], maxRequests: values['max-requests'], maxAccesses: values['max-accesses'], accessIdleMs: values['access-idle-timeout'], ownPrometheus: values['own-prometheus'] });
    admin?.route(graphRoute(graph));
    admin?.route(requestsRoute(recent));
    admin?.route(accessesRoute(observed));

    const servers: AccessLogServer[] = [];
    const serve = async (flag: 'listen' | 'insecure-listen', address: Address, trust: Pick<AccessLogServerOptions, 'credentials' | 'identify'>): Promise<number> => {
      const server = new AccessLogServer({ ...trust, trustDomain: values['trust-domain'], connections: connectionBounds(values), report: (attributes) => runtime.report(attributes), stats, log });
      servers.push(server);
      lifecycle.add(`access log service (--${flag})`, () => server.stop());
      try {
        return (await server.listen(address)).port;
      } catch (cause) {
        throw explainListenError(cause, { flag, address });
      }
    };

    const ports: Record<string, number> = {};
    const insecure = values['insecure-listen'];
    if (insecure) ports['als-insecure'] = await serve('insecure-listen', insecure, { credentials: ServerCredentials.createInsecure(), identify: undefined });
    const citadelAddress = values['citadel-address'];
    if (citadelAddress !== undefined) {
      const agent = startIdentity(citadelAddress, values, { log, lifecycle, readiness });
      // Bound before the first certificate: a busy port shows at once, and connections are dropped until there is one.
      ports['als'] = await serve('listen', values.listen, { credentials: serverCredentials(agent), identify: callerIdentity });
    }
    return {
      ports,
      drain: async () => servers.forEach((server) => server.drain()),
    };
  },
});
