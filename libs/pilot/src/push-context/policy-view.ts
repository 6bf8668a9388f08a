import type { Proxy } from '../proxy/proxy.ts';
import type { PushContext } from './push-context.ts';
import { keysId } from './request-authentication.ts';
import { telemetriesFor } from './telemetry.ts';
import { policiesFor } from './workload-policies.ts';

const numbers = new WeakMap<object, number>();
let last = 0;

/** A number that stands for this very object as long as it lives: an object that changes is another one. */
function identity(value: object): number {
  const known = numbers.get(value);
  if (known !== undefined) return known;
  last += 1;
  numbers.set(value, last);
  return last;
}

type Workload = Pick<Proxy, 'namespace' | 'labels'>;

/** All that is read of a context. */
type Sections = Pick<PushContext, 'authorization' | 'requestAuthentications' | 'telemetry' | 'keySets' | 'features'>;

const views = new WeakMap<Workload, { readonly of: Sections; readonly text: string }>();

/** Which policies apply to a proxy, and with which keys, as a text for caches: equal texts mean equal policies. Asked of the same sections again it costs a look-up. */
export function policyView(push: Sections, proxy: Workload): string {
  const known = views.get(proxy);
  if (known && same(known.of, push)) return known.text;
  const { authorization, requestAuthentications, telemetry, keySets, features } = push;
  const text = viewText(push, proxy);
  views.set(proxy, { of: { authorization, requestAuthentications, telemetry, keySets, features }, text });
  return text;
}

/** Field by field: it is asked for every proxy at every change. */
function same(a: Sections, b: Sections): boolean {
  return a.authorization === b.authorization && a.requestAuthentications === b.requestAuthentications && a.telemetry === b.telemetry && a.keySets === b.keySets && a.features === b.features;
}

function viewText(push: Sections, proxy: Workload): string {
  const authorization = policiesFor(push.authorization, proxy, push.features).map(identity);
  const authentication = policiesFor(push.requestAuthentications, proxy, push.features);
  const keys = authentication.flatMap(({ spec }) => spec.jwtRules.map((rule) => push.keySets.get(keysId(rule) ?? '')));
  const telemetry = telemetriesFor(push, proxy).map(identity);
  return `${authorization.join()} ${authentication.map(identity).join()} ${keys.map((set) => (set ? identity(set) : '')).join()} ${telemetry.join()}`;
}
