import type { AuthorizationPolicySpec } from '@meltemi/config';
import { sourceOfRoute } from '@meltemi/pilot';
import type { Route } from '@meltemi/route';
import type { Answer, Origin } from '../answer.ts';
import type { ProxyView } from '../view.ts';

/** The object that a route was made of, by the metadata that Istio writes into it. */
export function originOfRoute({ mesh, push }: ProxyView, rule: Route): Origin | undefined {
  const [outcome] = rule.outcomes;
  const istio = outcome?.metadata?.['istio'];
  const config = istio?.['config'];
  const parts = typeof config === 'string' ? /^\/apis\/([^/]+)\/[^/]+\/namespaces\/([^/]+)\/([^/]+)\/(.+)$/.exec(config) : null;
  if (!parts) return undefined;
  const [, group = '', namespace = '', resource = '', name = ''] = parts;
  const source = resource === 'virtual-service' ? sourceOfRoute(push, { namespace, name }, rule.name) : undefined;
  if (source) return mesh.originOf(source.key, source.field);
  const said = (key: string) => (typeof istio?.[key] === 'string' ? istio[key] : '');
  // a delegate's route is the delegate's, whoever's rule it became
  return mesh.originOf({ group, kind: kindOf(resource), namespace: said('namespace') || namespace, name: said('name') || name }, said('field'));
}

/** "virtual-service" → VirtualService. */
function kindOf(resource: string): string {
  return resource.replaceAll(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** At the end of a rule's name; a CUSTOM rule that nobody can be asked about has a word behind it. */
const ruleName = /(ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[(\d+)\])(?:-deny-due-to-bad-CUSTOM-action)?$/;

/** "ns[foo]-policy[bar]-rule[0]" → what a denial says of it; "none" is no rule. */
export function policyOfRule(_view: ProxyView, rule: string): Pick<Answer, 'policy' | 'rule'> {
  const parts = ruleName.exec(rule);
  return parts ? { policy: `${parts[2]}/${parts[3]}`, rule: parts[1] ?? rule } : rule === 'none' ? {} : { rule };
}

/** Where a rule is written. */
export function originOfRule({ mesh }: ProxyView, rule: string): Origin | undefined {
  const parts = ruleName.exec(rule);
  return parts ? mesh.originOf({ group: 'security.istio.io', kind: 'AuthorizationPolicy', namespace: parts[2] ?? '', name: parts[3] ?? '' }, `spec.rules[${parts[4]}]`) : undefined;
}

/** The provider that a CUSTOM rule asks. */
export function providerOfRule({ mesh }: ProxyView, rule: string): string | undefined {
  const parts = ruleName.exec(rule);
  if (!parts) return undefined;
  const policy = mesh.configs.find(({ key }) => key.kind === 'AuthorizationPolicy' && key.namespace === parts[2] && key.name === parts[3]);
  return (policy?.spec as AuthorizationPolicySpec | undefined)?.provider?.name;
}

export function originText(origin: Origin): string {
  const where = origin.file === undefined ? '' : ` (${origin.file}:${origin.line ?? 1})`;
  return `${origin.kind} ${origin.name}${origin.namespace === '' ? '' : `.${origin.namespace}`}${origin.field === '' ? '' : ` ${origin.field}`}${where}`;
}
