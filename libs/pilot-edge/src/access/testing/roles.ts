import { formatFieldErrors } from '@meltemi/base';
import { parseYamlDocuments } from '@meltemi/config';
import { AccessPolicy } from '../access-policy.ts';
import { readRbacObjects } from '../rbac-objects.ts';

/** The policy that YAML makes. Throws with what is wrong in it. */
export function policyOf(yaml: string, admins: readonly string[] = []): AccessPolicy {
  const read = readRbacObjects(parseYamlDocuments(yaml, 'test').documents.flatMap(({ raw }) => raw ?? []));
  const policy = read.ok ? AccessPolicy.of(read.value, admins) : read;
  if (!policy.ok) throw new Error(formatFieldErrors(policy.error));
  return policy.value;
}

const nothing = policyOf('');

/** Nobody but the owner of the socket may do anything. */
export function noRoles(): AccessPolicy {
  return nothing;
}
