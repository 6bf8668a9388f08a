import { watch } from 'node:fs';
import { DiskKeystore } from '../disk-keystore.ts';

// Run by the crash test as a process of its own: seals a plain keystore, saying a line on stdout for every change in the directory, until it is killed.
const [dir = '', key = ''] = process.argv.slice(2);
for (const folder of [dir, `${dir}/tokens`]) watch(folder).on('change', () => void process.stdout.write('changed\n'));
await new DiskKeystore(dir, { secret: { kind: 'key file', bytes: Buffer.from(key, 'base64') } }).loadAuthority();
process.exit();
