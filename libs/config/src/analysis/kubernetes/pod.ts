import type { StringMap } from '../../kinds/types.ts';
import { mapAt, maps, text, textMap, wholeNumber } from '../json.ts';
import type { AnalyzedObject } from '../object.ts';

/** What the analysis reads of a container. */
export interface Container {
  readonly name: string;
  readonly image: string;
  /** NaN: not set. */
  readonly runAsUser: number;
  readonly env: readonly { readonly name: string; readonly value: string }[];
}

/** What the analysis reads of a pod, or of the template of a workload. */
export interface PodFacts {
  readonly labels: StringMap;
  readonly annotations: StringMap;
  readonly containers: readonly Container[];
  readonly initContainers: readonly Container[];
  readonly hostNetwork: boolean;
  readonly nodeName: string;
  /** NaN: not set. */
  readonly runAsUser: number;
}

/** A Pod, or a workload whose template stands for pods that are not there. */
export interface PodView extends PodFacts {
  readonly object: AnalyzedObject;
  readonly name: string;
  readonly namespace: string;
}

/** Reads a Pod object, or the template of a Deployment. */
export function podFacts(content: unknown): PodFacts {
  const metadata = mapAt(content, 'metadata');
  const spec = mapAt(content, 'spec');
  return {
    labels: textMap(metadata['labels']),
    annotations: textMap(metadata['annotations']),
    containers: maps(spec['containers']).map(container),
    initContainers: maps(spec['initContainers']).map(container),
    hostNetwork: spec['hostNetwork'] === true,
    nodeName: text(spec['nodeName']),
    runAsUser: wholeNumber(mapAt(spec, 'securityContext')['runAsUser']),
  };
}

/** The template of a Deployment, StatefulSet, DaemonSet or ReplicaSet. */
export function templateFacts(object: AnalyzedObject): PodFacts {
  return podFacts(mapAt(object.content, 'spec', 'template'));
}

function container(value: unknown): Container {
  const one = mapAt(value);
  return {
    name: text(one['name']),
    image: text(one['image']),
    runAsUser: wholeNumber(mapAt(one, 'securityContext')['runAsUser']),
    env: maps(one['env']).map((each) => ({ name: text(each['name']), value: text(each['value']) })),
  };
}
