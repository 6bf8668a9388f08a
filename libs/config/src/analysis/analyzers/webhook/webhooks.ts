import type { StringMap, Struct } from '../../../kinds/types.ts';
import { isMap } from '../../../schema/containers.ts';
import type { Analyzer, Report } from '../../analyzer.ts';
import { mapAt, maps, text, textMap, textsIn } from '../../json.ts';
import { labelSelectorSelects } from '../../kubernetes/selector.ts';
import type { Mesh } from '../../mesh.ts';
import { messages } from '../../messages/messages.ts';
import type { AnalyzedObject } from '../../object.ts';

const revisionLabel = 'istio.io/rev';

interface Hook {
  readonly object: AnalyzedObject;
  /** "configuration/webhook". */
  readonly name: string;
  readonly path: string;
  readonly webhook: Struct;
}

/** Injection webhooks that inject twice, or whose service does not exist. */
export const webhooks: Analyzer = {
  name: 'webhook.Analyzer',
  description: 'Injection webhooks that overlap or name a service that does not exist',
  analyze(mesh, report) {
    const configurations = mesh.ofKind('admissionregistration.k8s.io', 'MutatingWebhookConfiguration').filter((one) => revisionsOf(one).length > 0 || hooksOf(one).some(({ webhook }) => text(webhook['name']).endsWith('istio.io')));
    const hooks = configurations.flatMap(hooksOf);
    reportOverlaps(hooks, [...new Set(configurations.flatMap(revisionsOf))], report);
    reportServices(hooks, mesh, report);
  },
};

function hooksOf(object: AnalyzedObject): readonly Hook[] {
  return maps(object.content['webhooks']).map((webhook, i) => ({ object, name: `${object.key.name}/${text(webhook['name'])}`, path: `webhooks[${i}]`, webhook }));
}

function revisionsOf(object: AnalyzedObject): readonly string[] {
  const own = object.meta.labels[revisionLabel];
  const selectors = maps(object.content['webhooks']).flatMap((webhook) => [mapAt(webhook, 'namespaceSelector'), mapAt(webhook, 'objectSelector')]);
  const selected = selectors.flatMap((selector) => [
    ...[textMap(selector['matchLabels'])[revisionLabel]].filter((one) => one !== undefined),
    ...maps(selector['matchExpressions']).filter((one) => one['key'] === revisionLabel).flatMap((one) => textsIn(one['values'])),
  ]);
  return [...new Set([...(own === undefined ? [] : [own]), ...selected])];
}

/** Every pair of labels a namespace and a pod may have must find at most one webhook. */
function reportOverlaps(hooks: readonly Hook[], revisions: readonly string[], report: Report): void {
  const withRevisions = (labels: readonly StringMap[]): StringMap[] => [...labels, ...revisions.flatMap((revision) => labels.map((one) => ({ ...one, [revisionLabel]: revision })))];
  const namespaces = withRevisions([{}, { 'istio-injection': 'enabled' }, { 'istio-injection': 'disabled' }]);
  const pods = withRevisions([{}, { 'sidecar.istio.io/inject': 'true' }, { 'sidecar.istio.io/inject': 'false' }]);
  for (const namespace of namespaces) {
    const selecting = hooks.filter(({ webhook }) => labelSelectorSelects(webhook['namespaceSelector'], namespace));
    for (const pod of pods) {
      const matching = selecting.filter(({ webhook }) => labelSelectorSelects(webhook['objectSelector'], pod));
      if (new Set(matching.map((hook) => hook.name)).size < 2) continue;
      for (const hook of matching) {
        const others = [...new Set(matching.map((one) => one.name))].filter((name) => name !== hook.name).sort();
        report(hook.object, messages.invalidWebhook(`The webhook overlaps with ${others.join(', ')}: pods may be injected twice.`), { path: hook.path });
      }
    }
  }
}

function reportServices(hooks: readonly Hook[], mesh: Mesh, report: Report): void {
  for (const { object, path, webhook } of hooks) {
    const service = mapAt(webhook, 'clientConfig')['service'];
    if (!isMap(service)) continue;
    const named = { namespace: text(service['namespace']), name: text(service['name']) };
    if (!mesh.find('', 'Service', named)) report(object, messages.invalidWebhook(`The injector's service ${named.namespace}/${named.name} does not exist.`), { path: `${path}.clientConfig.service` });
  }
}
