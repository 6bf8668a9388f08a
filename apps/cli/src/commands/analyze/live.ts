import type { Object as ApiObject } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { toRawObject } from '@meltemi/config';
import { analyzedObject, type AnalyzedObject } from '@meltemi/config/analysis';
import type { MeshContext } from '../../context.ts';
import { liveObjects, placeOf } from '../../live-objects.ts';

/** Every object of the live mesh, those that pilot set aside with its reasons. */
export async function analyzedLiveObjects(context: MeshContext): Promise<readonly AnalyzedObject[]> {
  return (await liveObjects(context)).flatMap(analyzed);
}

function analyzed(live: ApiObject): AnalyzedObject[] {
  const { json, key, quarantine } = live;
  const raw = toRawObject(JSON.parse(json));
  if (!raw.ok) return [];
  const place = placeOf(live);
  const object = analyzedObject({ ...raw.value, key: key ?? raw.value.key }, place ? { source: { file: place.file, line: () => place.line, pathInFile: (path) => path, document: 0 } } : {});
  // What a proxy would refuse is known to pilot alone.
  return [quarantine && object.errors.length === 0 ? { ...object, errors: quarantine.errors } : object];
}
