import type { ClientHello } from '@meltemi/xds-edge';

/** What runs at the other end, as it says itself. */
export function agentVersion(hello: ClientHello): string {
  const metadata = hello.node.metadata as Readonly<Record<string, unknown>> | undefined;
  const version = metadata?.['MELTEMI_VERSION'] ?? metadata?.['ISTIO_VERSION'];
  if (typeof version === 'string' && version !== '') return version;
  const agent = hello.node.userAgentVersionType;
  return agent?.$case === 'userAgentVersion' ? agent.value : hello.node.userAgentName;
}
