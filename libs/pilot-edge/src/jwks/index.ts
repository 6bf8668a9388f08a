export { BlockedAddresses } from './blocked-addresses.ts';
export { JwksKeeper, type JwksKeeperOptions } from './jwks-keeper.ts';
export { httpKeyServer, type KeyServer } from './key-server.ts';
