import type { Object as ApiObject } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import type { MeshContext } from './context.ts';
import { call, connectPilot } from './pilot-client.ts';

/** Every object that pilot knows, those that are set aside too. */
export async function liveObjects(context: MeshContext): Promise<readonly ApiObject[]> {
  const client = await connectPilot(context);
  try {
    const { objects } = await call(client.config.list.bind(client.config), { group: '', kind: '', namespace: '' });
    return objects;
  } finally {
    client.close();
  }
}

/** Where an object begins that comes from a file ("source:/etc/mesh/a.yaml:3"); undefined for those in pilot's store. */
export function placeOf({ origin }: Pick<ApiObject, 'origin'>): { readonly file: string; readonly line: number } | undefined {
  const written = /^source:(.+):(\d+)$/.exec(origin);
  return written ? { file: written[1] ?? '', line: Number(written[2]) } : undefined;
}
