import type { Bootstrap, ClusterManager } from '@meltemi/api/gen/envoy/config/bootstrap/v3/bootstrap.ts';
import { checkFields, use, warn, type FieldTable, type Report } from '@meltemi/route';

const fields: FieldTable<ClusterManager> = {
  localClusterName: use,
  outlierDetection: warn('is not acted on: outlier events are in the log'),
  upstreamBindConfig: warn('is not acted on: name it in the clusters'),
  loadStatsConfig: warn('is not acted on: load reports are not sent'),
  enableDeferredClusterCreation: warn('is not acted on: clusters are made as they come'),
};

/** The cluster of those who call as this proxy does, for zone aware routing; "" = none is named. */
export function compileLocalCluster({ clusterManager, staticResources }: Bootstrap, report: Report): string {
  if (clusterManager === undefined) return '';
  checkFields(clusterManager, fields, 'cluster_manager', report);
  const { localClusterName } = clusterManager;
  if (localClusterName !== '' && staticResources?.clusters.some(({ name }) => name === localClusterName) !== true) report.refuse('cluster_manager.local_cluster_name', `"${localClusterName}" must be one of static_resources.clusters`);
  return localClusterName;
}
