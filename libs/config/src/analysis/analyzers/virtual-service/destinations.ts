import type { Destination } from '../../../kinds/types.ts';
import type { VirtualServiceSpec } from '../../../kinds/virtual-service/types.ts';

/** A destination, and the path of the destination in the VirtualService. */
export interface PlacedDestination {
  readonly destination: Destination;
  readonly path: string;
  readonly isMirror: boolean;
}

/** Every destination of the routes, then every mirror. */
export function destinationsOf(spec: VirtualServiceSpec): readonly PlacedDestination[] {
  const routes = (['tcp', 'tls', 'http'] as const).flatMap((protocol) =>
    spec[protocol].flatMap(({ route }, i) => route.map(({ destination }, j) => ({ destination, path: `spec.${protocol}[${i}].route[${j}].destination`, isMirror: false }))),
  );
  const mirrors = spec.http.flatMap(({ mirror, mirrors: several }, i) => [
    ...(mirror ? [{ destination: mirror, path: `spec.http[${i}].mirror`, isMirror: true }] : []),
    ...several.map(({ destination }, j) => ({ destination, path: `spec.http[${i}].mirrors[${j}].destination`, isMirror: true })),
  ]);
  return [...routes, ...mirrors];
}
