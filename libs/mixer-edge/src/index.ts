export { AccessLogServer, reportConnections, type AccessLogServerOptions } from './access-log-server.ts';
export { graphRoute, type GraphReader } from './graph-route.ts';
export { accessesRoute, requestsRoute } from './requests-route.ts';
