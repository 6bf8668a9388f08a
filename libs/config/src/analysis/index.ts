export { analyzeTexts, analyzeObjects, type AnalysisMessage, type AnalysisOptions } from './analyze.ts';
export { analyzers } from './analyzers.ts';
export type { Analyzer } from './analyzer.ts';
export { levels, reaches, type Level } from './messages/message-type.ts';
export { messageTypes } from './messages/messages.ts';
export type { AnalyzedObject } from './object.ts';
export { analyzedObject, readObjects, type SourceText } from './read.ts';
export { parseSuppression, type Suppression } from './suppress.ts';
