import { ServerCredentials } from '@grpc/grpc-js';
import { startAdsServer } from './ads-server.ts';
import { clusterSnapshot } from './resource-set.fake.ts';

/** A server to be killed: `node restartable-server.fake.ts <address> <JSON of clusters>`; prints its address, serves every client that. */
const [address = '127.0.0.1:0', clusters = '{}'] = process.argv.slice(2);
const snapshot = clusterSnapshot('1', JSON.parse(clusters));
const server = await startAdsServer({
  listeners: [{ name: 'plain', address, credentials: ServerCredentials.createInsecure() }],
  onConnect(_hello, connection) {
    connection.push({ ...snapshot, reason: 'connected' });
    return {};
  },
});
process.stdout.write(`${server.addresses.get('plain')}\n`);
