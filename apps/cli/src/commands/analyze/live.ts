import type { Object as ApiObject } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { toRawObject } from '@meltemi/config';
import { analyzedObject, type AnalyzedObject } from '@meltemi/config/analysis';
import type { MeshContext } from '../../context.ts';
import { call, connectPilot } from '../../pilot-client.ts';

/** Every object of the live mesh, those that pilot set aside with its reasons. */
export async function liveObjects(context: MeshContext): Promise<readonly AnalyzedObject[]> {
  const client = await connectPilot(context);
  try {
    const { objects } = await call(client.config.list.bind(client.config), { group: '', kind: '', namespace: '' });
    return objects.flatMap(liveObject);
  } finally {
    client.close();
  }
}

function liveObject({ json, key, origin, quarantine }: ApiObject): AnalyzedObject[] {
  const raw = toRawObject(JSON.parse(json));
  if (!raw.ok) return [];
  const object = analyzedObject({ ...raw.value, key: key ?? raw.value.key }, sourceOf(origin));
  // What a proxy would refuse is known to pilot alone.
  return [quarantine && object.errors.length === 0 ? { ...object, errors: quarantine.errors } : object];
}

/** "source:/etc/mesh/a.yaml:3" is where an object begins that comes from a file. */
function sourceOf(origin: string): Parameters<typeof analyzedObject>[1] {
  const written = /^source:(.+):(\d+)$/.exec(origin);
  if (!written) return {};
  const [, file = '', line] = written;
  return { source: { file, line: () => Number(line), pathInFile: (path) => path, document: 0 } };
}
