import type { Config, GatewayClassSpec } from '@meltemi/config';
import { controllers } from './names.ts';

/** What a class of Gateways means to us. */
export interface KnownClass {
  readonly name: string;
  readonly controller: string;
  /** False: another cluster's; nothing here is configured by it. */
  readonly routes: boolean;
}

/** Classes that exist without an object. "meltemi" is our own name for "istio". */
const builtin: Readonly<Record<string, string>> = {
  istio: controllers.gateway,
  meltemi: controllers.gateway,
  'istio-remote': controllers.unmanaged,
};

/** The class of this name when it is ours; undefined when it is somebody else's. */
export function knownClass(name: string, classes: readonly Config<GatewayClassSpec>[]): KnownClass | undefined {
  const written = classes.find(({ meta }) => meta.name === name)?.spec.controllerName;
  const controller = written ?? builtin[name];
  if (controller !== controllers.gateway && controller !== controllers.unmanaged) return undefined;
  return { name, controller, routes: controller === controllers.gateway };
}

/** True for controllers whose GatewayClasses we answer for. */
export function isOurs(controller: string): boolean {
  return controller === controllers.gateway || controller === controllers.unmanaged;
}
