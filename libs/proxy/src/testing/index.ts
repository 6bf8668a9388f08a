export { Backend } from './backend.ts';
export { Draw } from './fuzz/draw.ts';
export { runTarget, type Finding, type TargetRun } from './fuzz/run-target.ts';
export type { FuzzTarget } from './fuzz/target.ts';
export { fuzzTargets } from './fuzz/targets.ts';
export { mutatedRequests } from './head-mutations.ts';
export { countCarelessly, readStrictly, type Meant } from './strict-reader.ts';
export { FrameTeller, frame, getFields, headers as headersFrame, literals, settings as settingsFrame, word, type ReadFrame } from './http2-wire.ts';
