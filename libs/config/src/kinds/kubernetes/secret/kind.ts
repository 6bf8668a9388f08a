import { anything, isMap, map } from '../../../schema/containers.ts';
import { string } from '../../../schema/scalars.ts';
import { mapped } from '../../../schema/schema.ts';
import { kubeKind, kubeObject } from '../kube-kind.ts';
import { keepSecretValues } from './values.ts';

/** A Secret as the mesh knows it: its type and the names of what it holds. Values are not part of it (see `secretValues`); no error text shows one. */
export interface SecretSpec {
  readonly type: string;
  readonly keys: readonly string[];
}

interface Written {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly stringData: Readonly<Record<string, unknown>>;
}

const values = map(anything());

/** Says what is wrong without a word of what is there. */
const unshown: typeof values = {
  ...values,
  decode(input, path, errors) {
    if (isMap(input)) return values.decode(input, path, errors);
    errors.push({ path, message: 'must be a map of names to values' });
    return {};
  },
};

export const secret = kubeKind<SecretSpec>({
  kind: 'Secret',
  plural: 'secrets',
  body: 'object',
  schema: mapped(kubeObject<Written>({ type: string(), data: unshown, stringData: unshown }), ({ type, data, stringData }) =>
    keepSecretValues({ type, keys: [...new Set([...Object.keys(data), ...Object.keys(stringData)])].sort() }, data, stringData)),
});
