import type { StringMap, Struct } from '../../../kinds/types.ts';
import { isMap } from '../../../schema/containers.ts';
import { mapAt, textMap } from '../../json.ts';
import type { Mesh } from '../../mesh.ts';
import type { AnalyzedObject } from '../../object.ts';

/** A Telemetry that decodes. */
export interface TelemetryView {
  readonly object: AnalyzedObject;
  readonly spec: Struct;
  /** undefined: no selector. */
  readonly selector: StringMap | undefined;
}

export function telemetries(mesh: Mesh): readonly TelemetryView[] {
  return mesh.ofKind('telemetry.istio.io', 'Telemetry').filter((object) => object.spec !== undefined).map((object) => {
    const spec = mapAt(object.content, 'spec');
    return { object, spec, selector: isMap(spec['selector']) ? textMap(spec['selector']['matchLabels']) : undefined };
  });
}

/** The names of the objects, sorted. */
export function telemetryNames(views: readonly TelemetryView[]): string[] {
  return views.map(({ object }) => object.key.name).sort();
}
