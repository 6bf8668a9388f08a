export { StatsRegistry, latencyBucketsMs, type StatsRegistryOptions } from './registry.ts';
export { Counter, Gauge, Histogram, type Child } from './child.ts';
export { Family, overflowLabel, type FamilyKind, type FamilySpec, type Series } from './family.ts';
export { type StatsDelta } from './delta.ts';
export { DeltaMerger } from './merger.ts';
export { expositionText, expositionContentType, negotiateExposition, type ExpositionFormat } from './exposition.ts';
export { FlatStats, type FlatStat } from './flat-stats.ts';
export { declareIstioMetrics, declareIstioBuild, istioHttpLabels, istioMessageLabels, istioTcpLabels, sizeBucketsBytes, type IstioMetrics } from './istio-metrics.ts';
