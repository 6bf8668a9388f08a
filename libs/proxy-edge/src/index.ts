export { readBootstrap, type ReadBootstrap } from './bootstrap/read-bootstrap.ts';
export { meshNode, type NodeInput } from './bootstrap/node-metadata.ts';
export { ControlThread, type ControlOptions } from './control/control-thread.ts';
export { adminRoutes, prometheus, type AdminParts } from './admin/admin-routes.ts';
export { ReportSenders } from './als/report-senders.ts';
export { proxyExtensions } from './worker/extensions.ts';
export { runWorker } from './worker/run-worker.ts';
export { createWorkerServer, type WorkerServer } from './server/worker-server.ts';
