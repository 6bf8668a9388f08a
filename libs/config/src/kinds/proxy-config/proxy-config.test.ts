import { table } from '../../testing/verdict.ts';
import { proxyConfigKind } from './kind.ts';

table(proxyConfigKind, {
  good: [['a selector', '{selector: {matchLabels: {app: a}}}']],
  bad: [
    ['a negative concurrency', '{concurrency: -1}', 'spec.concurrency', /range/],
    ['a wildcard', '{selector: {matchLabels: {app: "*"}}}', 'spec.selector.matchLabels.app', /wildcards/],
  ],
});
