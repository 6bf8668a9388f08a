export { defaultThresholds, type Thresholds } from './generalise.ts';
export { type Observation } from './observation.ts';
export { holds, prove, type Proof, type Probe } from './proof.ts';
export { merged, readAccesses, readAccessLog, type ReadLog } from './read-observations.ts';
export { suggestionText } from './report.ts';
export { policiesText } from './policies-text.ts';
export { type Granularity } from './rules.ts';
export { suggest, type Plaintext, type SuggestOptions, type Suggestion } from './suggest.ts';
