import { keyText } from '@meltemi/config';
import { loadMesh, type LoadedMesh, type Origin } from '@meltemi/explain';
import type { CommandEnvironment } from '../../command.ts';
import { liveObjects, placeOf } from '../../live-objects.ts';

/** Everything that pilot knows: what is quarantined there is set aside here, and objects of files are named by them. */
export async function meshFromPilot({ context }: CommandEnvironment): Promise<LoadedMesh> {
  const objects = await liveObjects(context());
  const places = new Map(objects.flatMap((object) => (object.key ? [[keyText(object.key), placeOf(object)] as const] : [])));
  const originOf: LoadedMesh['originOf'] = (key, field): Origin => ({ kind: key.kind, namespace: key.namespace, name: key.name, field, ...places.get(keyText(key)) });
  const mesh = loadMesh(objects.filter(({ quarantine }) => quarantine === undefined).map(({ json, origin }) => ({ name: origin, text: json })));
  const quarantined = objects.flatMap(({ key, quarantine }) => (quarantine && key ? [{ origin: originOf(key, quarantine.errors[0]?.path ?? ''), errors: quarantine.errors }] : []));
  return { ...mesh, originOf, setAside: [...mesh.setAside, ...quarantined] };
}
