import { test } from 'node:test';
import { keystoreContract } from './keystore-contract.ts';
import { MemoryKeystore } from './memory-keystore.ts';

for (const [name, run] of Object.entries(keystoreContract)) {
  test(`memory keystore: ${name}`, async () => {
    const store = new MemoryKeystore();
    await run({ open: () => store, reopen: () => store });
  });
}
