import { toRawObject } from '@meltemi/config';
import { analyzedObject, type AnalyzedObject } from '@meltemi/config/analysis';
import type { MeshContext } from '../../context.ts';
import { call, connectPilot } from '../../pilot-client.ts';

/** Every object of the live mesh. */
export async function liveObjects(context: MeshContext): Promise<readonly AnalyzedObject[]> {
  const client = await connectPilot(context);
  try {
    const { objects } = await call(client.config.list.bind(client.config), { group: '', kind: '', namespace: '' });
    return objects.flatMap(({ json }) => {
      const raw = toRawObject(JSON.parse(json));
      return raw.ok ? [analyzedObject(raw.value)] : [];
    });
  } finally {
    client.close();
  }
}
