import { fail, ok, type Result } from '@meltemi/base';
import { selectsByService, takenGateways, type PushContext, type Workload } from '@meltemi/pilot';
import type { ProxyQuestion } from '../question.ts';
import { proxyOfQuestion } from '../view.ts';

/** "default/productpage" → the proxy of a workload of that name: a Deployment, Pod, WorkloadEntry, or the app label of one. */
export function findWorkload(push: PushContext, text: string): Result<ProxyQuestion> {
  const [namespace = 'default', name = ''] = text.includes('/') ? text.split('/', 2) : ['default', text];
  const workloads = [...push.registry.workloads.values()].filter((one) => one.namespace === namespace);
  const served = (one: Workload) => (push.registry.targets.get(one.address) ?? []).some(({ service }) => service.name === name && service.namespace === namespace);
  const rules: readonly ((one: Workload) => boolean)[] = [(one) => one.name === name, (one) => one.labels['app'] === name, served, (one) => one.name.startsWith(`${name}-`)];
  for (const rule of rules) {
    const found = workloads.find(rule);
    if (found) return hasProxy(found) ? ok(proxyOf(push, found)) : fail('--from', `workload "${text}" has no proxy: its label sidecar.istio.io/inject is "false"`);
  }
  const known = [...new Set([...push.registry.workloads.values()].map((one) => `${one.namespace}/${one.name}`))].toSorted();
  return fail('--from', `no workload "${text}" is known; there are ${known.slice(0, 20).join(', ') || 'none'}${known.length > 20 ? ', …' : ''}`);
}

/** Whether a proxy stands before the workload: it may have been told to do without. */
export function hasProxy({ labels }: Pick<Workload, 'labels'>): boolean {
  return labels['sidecar.istio.io/inject'] !== 'false';
}

/** Many workloads on one machine: each has a loopback address, nothing is captured, and applications use their sidecar as HTTP proxy. */
const uncaptured = { INTERCEPTION_MODE: 'NONE', MELTEMI_VERSION: 'any', MELTEMI_HTTP2: 'true' } as const;

/** What the workload's proxy says of itself. A workload that serves a Gateway, Istio's or the Gateway API's, is a gateway. */
export function proxyOf(push: PushContext, { name, namespace, labels, address, serviceAccount, network }: Workload): ProxyQuestion {
  const capture = push.mesh.defaultConfig.proxyMetadata['ISTIO_META_DNS_CAPTURE'];
  const asGateway: ProxyQuestion = { type: 'router', namespace, labels, ip: address, ips: [], serviceAccount: serviceAccount || 'default', metadata: { NAME: name, WORKLOAD_NAME: name, ...(address.startsWith('127.') ? uncaptured : {}), ...(network === '' ? {} : { NETWORK: network }), ...(capture === undefined ? {} : { DNS_CAPTURE: capture }) } };
  const proxy = proxyOfQuestion(asGateway);
  const serves = proxy.ok && takenGateways(push, proxy.value).some(({ gateway }) => selectsByService(gateway) || Object.keys(gateway.spec.selector).length > 0);
  return serves ? asGateway : { ...asGateway, type: 'sidecar' };
}
