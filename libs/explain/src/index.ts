export { explain, type Explained, type ExplainOptions } from './explain.ts';
export type { Answer, ClusterWeight, EndpointAnswer, Origin, Outcome, RouteSettings, Step } from './answer.ts';
export { loadMesh, type LoadedMesh, type LoadOptions, type SetAside, type TextFile } from './load.ts';
export { readCalls, readProxyQuestion, type Call, type CallMode, type ProxyQuestion } from './question.ts';
export { MeshViews } from './mesh-views.ts';
export { type ProxyView } from './view.ts';
export { originText } from './walk/origins.ts';
export { featuresFrom } from '@meltemi/pilot';
export { differencesOf, meshTestsOf, runMeshTests, type Expected, type MeshTest, type MeshTestResult } from './expectations.ts';
export { resourceExtensions } from './view.ts';
export { clientSide, hostOf } from './walk/connection.ts';
export { workloadFiles, type WorkloadFiles, type WorkloadFilesOptions } from './workload/workload-files.ts';
export { journey, type Journey, type JourneyRequest, type Leg } from './journey/journey.ts';
export { withAssumedPods } from './journey/assumed-pods.ts';
export { laidOver, meshDiff, type MeshDiff, type ProxyChange, type RequestChange, type RequestVerdict, type ResourceChange } from './diff.ts';
export { readRequests, requestsSeen } from './requests.ts';
export {
  defaultThresholds, holds, merged, policiesText, prove, readAccesses, readAccessLog, suggest, suggestionText, type Granularity, type Observation, type Plaintext, type Proof, type Suggestion, type SuggestOptions, type Thresholds,
} from './suggest/index.ts';
