import { join } from 'node:path';
import { isTrustDomain, type FederatedRoots } from '@meltemi/identity';
import { replaceFile } from '@meltemi/identity-edge';
import { readBounded } from '../read-bounded.ts';
import type { FederationStore } from './federation.ts';

const maxBytes = 4 << 20;

/** Keeps the last good roots of federated trust domains in citadel's state directory. They are public. */
export function diskFederationStore(stateDir: string): FederationStore {
  const path = join(stateDir, 'federation.json');
  return {
    async load() {
      const text = await readBounded(path, maxBytes);
      if (text === undefined) return [];
      const value: unknown = JSON.parse(text);
      if (!Array.isArray(value) || !value.every(isRoots)) throw new Error(`${path} is damaged`);
      return value;
    },
    save: (roots) => replaceFile(path, `${JSON.stringify(roots)}\n`),
  };
}

function isRoots(value: Partial<FederatedRoots> | null): value is FederatedRoots {
  return typeof value?.trustDomain === 'string' && isTrustDomain(value.trustDomain) && Array.isArray(value.rootsPem) && value.rootsPem.every((pem: unknown) => typeof pem === 'string') && ['undefined', 'string'].includes(typeof value.jwtKeys);
}
