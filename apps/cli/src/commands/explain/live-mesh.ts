import { loadMesh, type LoadedMesh, type SetAside } from '@meltemi/explain';
import type { CommandEnvironment } from '../../command.ts';
import { call, connectPilot } from '../../pilot-client.ts';

/** Everything that pilot knows, as its config API lists it: what is quarantined there is set aside here. */
export async function meshFromPilot({ context }: CommandEnvironment): Promise<LoadedMesh> {
  const client = await connectPilot(context());
  try {
    const { objects } = await call(client.config.list.bind(client.config), { group: '', kind: '', namespace: '' });
    const good = objects.filter(({ quarantine }) => quarantine === undefined);
    const mesh = loadMesh(good.map(({ json, origin }) => ({ name: origin, text: json })));
    const setAside = objects.flatMap(({ key, quarantine }): SetAside[] => (quarantine && key ? [{ origin: { kind: key.kind, namespace: key.namespace, name: key.name, field: quarantine.errors[0]?.path ?? '' }, errors: quarantine.errors }] : []));
    return { ...mesh, setAside: [...mesh.setAside, ...setAside] };
  } finally {
    client.close();
  }
}
