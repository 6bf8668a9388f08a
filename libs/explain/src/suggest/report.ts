import { formatFieldErrors } from '@meltemi/base';
import { callerText, requestText, type Observation } from './observation.ts';
import { inComment, policiesText } from './policies-text.ts';
import { holds, type Proof } from './proof.ts';
import type { Suggestion } from './suggest.ts';

/** Lines of a list that are written; the rest is a number. */
const shown = 20;

/** Everything in one YAML file: the policies, then as comments what was not seen, what is doubtful, and the proof. */
export function suggestionText(suggestion: Suggestion, proof: Proof): string {
  const text = policiesText(suggestion);
  return `${text}${text === '' ? '' : '\n'}${[...notSeen(suggestion), ...proofLines(suggestion, proof)].map((line) => (line === '' ? '#\n' : `# ${inComment(line)}\n`)).join('')}`;
}

function notSeen({ policies, leftOut, kept, unseen }: Suggestion): string[] {
  const doubtful = policies.flatMap((policy) => policy.doubtful);
  return [
    ...section('Nobody was seen to reach these; nothing is suggested for them', unseen.map(({ namespace, name, workloads }) => `${namespace}/${name}: ${workloads.join(', ')}`)),
    ...section('Left as they are, because callers without a certificate reach them: choose --plaintext refuse or --plaintext address', kept.flatMap(({ group, callers }) => callers.map((one) => `${group.namespace}/${group.name}: ${line(one)}`))),
    ...section('Doubtful, and allowed by the rules above: only ever answered with 4xx. --without-doubtful leaves them out', doubtful.map((one) => `${one.workload}: ${line(one)}`)),
    ...section('Left out', leftOut.map(({ observation, why }) => `${observation.workload}: ${line(observation)}: ${why}`)),
  ];
}

function proofLines({ dryRun, policies }: Suggestion, proof: Proof): string[] {
  const { distinct, requests, pass, broken, wanted, stayRefused, opened, unknown, probes, setAside } = proof;
  return [
    `Proof: each of ${distinct} different requests (${requests} in all) judged by the mesh as it is and with these policies${dryRun ? ' (as if they were in force)' : ''}:`,
    `  ${pass} are allowed, today and then`,
    `  ${broken.length} are allowed today and would be refused`,
    ...(wanted.length > 0 ? [`  ${wanted.length} are allowed today and would be refused because the options leave them out`] : []),
    `  ${stayRefused} are refused, today and then; ${opened.length} are refused today and would be allowed`,
    ...(unknown > 0 ? [`  ${unknown} went to workloads that the mesh does not know any more`] : []),
    `It ${holds(proof) ? 'holds' : 'DOES NOT HOLD: do not apply this as it is'}.`,
    ...section('Would be refused', broken.map((one) => `${one.workload}: ${line(one)}`)),
    ...section('Would be refused, as asked for', wanted.map((one) => `${one.workload}: ${line(one)}`)),
    ...section('Would be allowed, but are refused today', opened.map((one) => `${one.workload}: ${line(one)}`)),
    ...section('Would not be taken', setAside.map(({ origin, errors }) => `${origin.kind} ${origin.namespace}/${origin.name}: ${formatFieldErrors(errors)}`)),
    ...(policies.length > 0 ? section('What nobody was seen to do', probes.map(({ policy, what, allowedBefore, allowedAfter }) => `${policy}: ${what}: ${word(allowedBefore)} today, ${word(allowedAfter)} then`), Infinity) : []),
  ];
}

function section(title: string, lines: readonly string[], max = shown): string[] {
  if (lines.length === 0) return [];
  return [`${title}:`, ...lines.slice(0, max).map((one) => `  ${one}`), ...(lines.length > max ? [`  … and ${lines.length - max} more`] : []), ''];
}

function line(one: Observation): string {
  return `${callerText(one)} ${requestText(one)} (${one.count} times)`;
}

function word(allowed: boolean): string {
  return allowed ? 'allowed' : 'refused';
}
