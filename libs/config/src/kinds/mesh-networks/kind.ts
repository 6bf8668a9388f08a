import type { ObjectMeta } from '../../object.ts';
import { isIpAddress, portReason, subnetReason } from '../../rules/addresses.ts';
import type { Findings } from '../../rules/findings.ts';
import { fqdnReason, isDnsLabel } from '../../rules/hosts.ts';
import { child, item } from '../../schema/schema.ts';
import { istioKind } from '../kind.ts';
import { leaveOutUnknown } from '../mesh-config/tolerate.ts';
import { schema } from './schema.ts';
import type { MeshNetworksSpec, Network } from './types.ts';

/** Like MeshConfig no Kubernetes object: the key `meshNetworks` of the ConfigMap `istio`, or plain YAML. */
export const meshNetworks = istioKind<MeshNetworksSpec>({
  group: 'mesh.istio.io',
  kind: 'MeshNetworks',
  plural: 'meshnetworks',
  versions: ['v1alpha1'],
  scope: 'cluster',
  schema,
  tolerate: leaveOutUnknown,
  validate,
});

/** Host names of gateways are looked up (RESOLVE_HOSTNAME_GATEWAYS is Istio's default). */
function validate({ networks }: MeshNetworksSpec, _about: ObjectMeta, findings: Findings): void {
  for (const [name, network] of Object.entries(networks)) checkNetwork(network, child('spec.networks', name), findings);
}

function checkNetwork(network: Network, path: string, findings: Findings): void {
  for (const [i, { fromCidr, fromRegistry }] of network.endpoints.entries()) {
    const at = item(`${path}.endpoints`, i);
    if (fromCidr !== undefined) findings.check(`${at}.fromCidr`, subnetReason(fromCidr));
    if (fromRegistry !== undefined && !isDnsLabel(fromRegistry)) findings.error(`${at}.fromRegistry`, `"${fromRegistry}" is not the name of a cluster`);
  }
  for (const [i, { registryServiceName, address, port }] of network.gateways.entries()) {
    const at = item(`${path}.gateways`, i);
    if (registryServiceName !== undefined) findings.check(`${at}.registryServiceName`, fqdnReason(registryServiceName));
    if (address !== undefined && !isIpAddress(address)) findings.check(`${at}.address`, fqdnReason(address));
    findings.check(`${at}.port`, portReason(port));
  }
}
