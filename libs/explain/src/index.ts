export { explain, type Explained, type ExplainOptions } from './explain.ts';
export type { Answer, ClusterWeight, EndpointAnswer, Origin, Outcome, RouteSettings, Step } from './answer.ts';
export { loadMesh, type LoadedMesh, type LoadOptions, type SetAside, type TextFile } from './load.ts';
export { readCalls, readProxyQuestion, type Call, type CallMode, type ProxyQuestion } from './question.ts';
export { compiled, viewOf, type ProxyView } from './view.ts';
export { walk } from './walk/walk.ts';
export { originText } from './walk/origins.ts';
export { featuresFrom } from '@meltemi/pilot';
