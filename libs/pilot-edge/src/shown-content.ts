import type { RawObject } from '@meltemi/config';
import { gatewayApiStatus, type PushContext } from '@meltemi/pilot';

/** An object as the API shows it: with the status that follows from the mesh as it is, and without what a Secret holds. */
export function shownContent({ key, content }: RawObject, push?: PushContext): Readonly<Record<string, unknown>> {
  if (key.group === '' && key.kind === 'Secret') return { ...content, ...withoutValues(content, 'data'), ...withoutValues(content, 'stringData') };
  const status = push && gatewayApiStatus(push, key);
  return status ? { ...content, status: { ...written(content), ...status } } : content;
}

/** Names stay, values are blank. */
function withoutValues(content: Readonly<Record<string, unknown>>, field: string): Readonly<Record<string, unknown>> {
  const values = content[field];
  return typeof values === 'object' && values !== null ? { [field]: Object.fromEntries(Object.keys(values).map((name) => [name, ''])) } : {};
}

function written({ status }: Readonly<Record<string, unknown>>): object {
  return typeof status === 'object' && status !== null ? status : {};
}
