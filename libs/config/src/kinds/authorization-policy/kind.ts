import { list, object, strings } from '../../schema/containers.ts';
import { oneOf, string } from '../../schema/scalars.ts';
import { optional, required, withCel } from '../../schema/schema.ts';
import { istioKind } from '../kind.ts';
import { targetFields } from '../targeted-policy.ts';
import type { AuthorizationCondition, AuthorizationOperation, AuthorizationPolicySpec, AuthorizationRule, AuthorizationSource } from './types.ts';
import { validate } from './validate.ts';

const absentOrStrings = optional(strings());
const accounts = optional(list(string({ maxLength: 320 }), { maxItems: 16 }));

const source = object<AuthorizationSource>({
  principals: absentOrStrings,
  notPrincipals: absentOrStrings,
  requestPrincipals: absentOrStrings,
  notRequestPrincipals: absentOrStrings,
  namespaces: absentOrStrings,
  notNamespaces: absentOrStrings,
  serviceAccounts: accounts,
  notServiceAccounts: accounts,
  ipBlocks: absentOrStrings,
  notIpBlocks: absentOrStrings,
  remoteIpBlocks: absentOrStrings,
  notRemoteIpBlocks: absentOrStrings,
  trustDomains: absentOrStrings,
  notTrustDomains: absentOrStrings,
});

const accountsAlone = {
  rule: '!(has(self.serviceAccounts) || has(self.notServiceAccounts)) || !(has(self.principals) || has(self.notPrincipals) || has(self.namespaces) || has(self.notNamespaces))',
  message: 'serviceAccounts say principals and namespaces already',
};

const operation = object<AuthorizationOperation>({
  hosts: absentOrStrings,
  notHosts: absentOrStrings,
  ports: absentOrStrings,
  notPorts: absentOrStrings,
  methods: absentOrStrings,
  notMethods: absentOrStrings,
  paths: absentOrStrings,
  notPaths: absentOrStrings,
});

const rule = object<AuthorizationRule>({
  from: list(object<{ readonly source: AuthorizationSource }>({ source: required(withCel(source, accountsAlone)) }), { minItems: 1, maxItems: 512 }),
  to: list(object<{ readonly operation: AuthorizationOperation }>({ operation: required(operation) }), { minItems: 1 }),
  when: list(object<AuthorizationCondition>({ key: required(string()), values: strings(), notValues: strings() })),
});

export const authorizationPolicy = istioKind<AuthorizationPolicySpec>({
  group: 'security.istio.io',
  kind: 'AuthorizationPolicy',
  plural: 'authorizationpolicies',
  shortNames: ['ap'],
  versions: ['v1', 'v1beta1'],
  acts: 'full',
  schema: object<AuthorizationPolicySpec>({
    ...targetFields,
    rules: optional(list(rule, { maxItems: 512 })),
    action: oneOf(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']),
    provider: optional(object<{ readonly name: string }>({ name: string() })),
  }),
  validate,
});
