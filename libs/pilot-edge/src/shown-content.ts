import type { Config, RawObject, ServiceEntrySpec } from '@meltemi/config';
import { gatewayApiStatus, givenAddresses, type PushContext } from '@meltemi/pilot';

/** An object as the API shows it: with the status that follows from the mesh as it is, and without what a Secret holds. */
export function shownContent({ key, content }: RawObject, push?: PushContext): Readonly<Record<string, unknown>> {
  if (key.group === '' && key.kind === 'Secret') return { ...content, ...withoutCopy(content), ...withoutValues(content, 'data'), ...withoutValues(content, 'stringData') };
  const status = push && (key.kind === 'ServiceEntry' ? addressStatus(push, key) : gatewayApiStatus(push, key));
  return status ? { ...content, status: { ...written(content), ...status } } : content;
}

/** The addresses that an entry's hosts were given; nothing for who has its own. */
function addressStatus(push: PushContext, key: RawObject['key']): object | undefined {
  const entry = push.inputs.get('ServiceEntry')?.find((each) => each.key.name === key.name && each.key.namespace === key.namespace && each.key.group === key.group) as Config<ServiceEntrySpec> | undefined;
  const addresses = entry && push.features.ipAutoallocate ? givenAddresses(push.registry)(entry) : [];
  return addresses.length > 0 ? { addresses } : undefined;
}

/** True for a Secret as `shownContent` shows it: whoever stored it would lose what it held. */
export function isBlankSecret({ key, content }: RawObject): boolean {
  if (key.group !== '' || key.kind !== 'Secret') return false;
  const values = [content['data'], content['stringData']].flatMap((map) => (typeof map === 'object' && map !== null ? Object.values(map) : []));
  return values.length > 0 && values.every((value) => value === '');
}

/** Names stay, values are blank. */
function withoutValues(content: Readonly<Record<string, unknown>>, field: string): Readonly<Record<string, unknown>> {
  const values = content[field];
  if (values === undefined) return {};
  return { [field]: typeof values === 'object' && values !== null && !Array.isArray(values) ? Object.fromEntries(Object.keys(values).map((name) => [name, ''])) : '' };
}

/** kubectl's note of what was applied last: the whole Secret once more. */
const appliedNote = 'kubectl.kubernetes.io/last-applied-configuration';

function withoutCopy({ metadata }: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { annotations } = (metadata ?? {}) as { readonly annotations?: unknown };
  if (typeof annotations !== 'object' || annotations === null || !(appliedNote in annotations)) return {};
  return { metadata: { ...(metadata as object), annotations: { ...annotations, [appliedNote]: '' } } };
}

function written({ status }: Readonly<Record<string, unknown>>): object {
  return typeof status === 'object' && status !== null ? status : {};
}
