import { table } from '../../testing/verdict.ts';
import { peerAuthentication } from './kind.ts';

const selected = 'selector: {matchLabels: {app: a}}';

table(peerAuthentication, {
  good: [
    ['nothing: what is above it holds', '{}'],
    ['a mode', '{mtls: {mode: STRICT}}'],
    ['a port of its own', `{${selected}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: PERMISSIVE}}}`],
  ],
  bad: [
    ['ports without a selector', '{portLevelMtls: {8080: {mode: DISABLE}}}', 'spec.portLevelMtls', /selector/],
    ['ports with an empty selector', '{selector: {matchLabels: {}}, portLevelMtls: {8080: {mode: DISABLE}}}', 'spec.portLevelMtls', /selector/],
    ['no port at all', `{${selected}, portLevelMtls: {}}`, 'spec.portLevelMtls', /empty/],
    ['port 0', `{${selected}, portLevelMtls: {0: {mode: DISABLE}}}`, 'spec.portLevelMtls.0', /1…65535/],
    ['port 65536', `{${selected}, portLevelMtls: {65536: {mode: DISABLE}}}`, 'spec.portLevelMtls.65536', /1…65535/],
    ['a port in words', `{${selected}, portLevelMtls: {http: {mode: DISABLE}}}`, 'spec.portLevelMtls.http', /1…65535/],
    ['a mode in small letters', '{mtls: {mode: strict}}', 'spec.mtls.mode', /did you mean "STRICT"/],
    ['a wildcard', '{selector: {matchLabels: {app: "*"}}}', 'spec.selector.matchLabels.app', /wildcards/],
    ['a selector of the networking kinds', '{selector: {labels: {app: a}}}', 'spec.selector.labels', /did you mean "matchLabels"|unknown field/],
  ],
  warns: [['a selector without labels', '{selector: {}}', 'spec.selector.matchLabels', /every workload/]],
});
