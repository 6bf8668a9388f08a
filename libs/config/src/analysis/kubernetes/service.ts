import type { StringMap } from '../../kinds/types.ts';
import { mapAt, maps, text, textMap, wholeNumber } from '../json.ts';
import type { AnalyzedObject } from '../object.ts';

/** What the analysis reads of a Service. */
export interface ServiceView {
  readonly object: AnalyzedObject;
  readonly name: string;
  readonly namespace: string;
  readonly type: string;
  readonly clusterIP: string;
  readonly selector: StringMap;
  readonly ports: readonly ServicePort[];
}

export interface ServicePort {
  readonly name: string;
  readonly port: number;
  /** "" is TCP. */
  readonly protocol: string;
  readonly appProtocol: string | undefined;
  /** As written; "0" when left out. */
  readonly targetPort: string;
}

export function serviceView(object: AnalyzedObject): ServiceView {
  const spec = mapAt(object.content, 'spec');
  return {
    object,
    name: object.key.name,
    namespace: object.key.namespace,
    type: text(spec['type']) || 'ClusterIP',
    clusterIP: text(spec['clusterIP']),
    selector: textMap(spec['selector']),
    ports: maps(spec['ports']).map((port) => ({
      name: text(port['name']),
      port: wholeNumber(port['port']),
      protocol: text(port['protocol']),
      appProtocol: typeof port['appProtocol'] === 'string' ? port['appProtocol'] : undefined,
      targetPort: typeof port['targetPort'] === 'number' ? String(port['targetPort']) : text(port['targetPort']) || '0',
    })),
  };
}
