import type { BenchCase } from '../case.ts';
import { body1m, body64k } from './bodies.ts';
import { features } from './features.ts';
import { floor } from './floor.ts';
import { halfLoad } from './half-load.ts';
import { handshakes } from './handshakes.ts';
import { grpc, http2 } from './http2.ts';
import { idle } from './idle.ts';
import { latency } from './latency.ts';
import { memory } from './memory.ts';
import { mtls } from './mtls.ts';
import { plain } from './plain.ts';
import { routeMemory, routes100, routes1000 } from './routes.ts';
import { tcp } from './tcp.ts';
import { tls } from './tls.ts';
import { websocket } from './websocket.ts';
import { workers } from './workers.ts';

/** The suite, in the order of issue 3 §5. The last two say what the floor is and what the goals' features cost. */
export const benchCases: readonly BenchCase[] = [plain, tls, mtls, routes100, routes1000, routeMemory, body64k, body1m, http2, grpc, websocket, tcp, handshakes, workers, memory, idle, halfLoad, latency, floor, features];
