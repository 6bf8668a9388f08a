export { startCitadelServer, type CitadelServer, type CitadelServerOptions } from './citadel-server.ts';
export { readCaFiles } from './ca-files.ts';
export { DiskKeystore } from './disk-keystore.ts';
export { inClusterApi, KubernetesTokenReviewer, type KubernetesApi } from './kubernetes-token-reviewer.ts';
export type { CitadelLog } from './certificate-handlers.ts';
export { claimSocket, SocketUnusable } from './token-socket.ts';
export type { Sealing } from './sealing/open-sealing.ts';
export { readKeyFile, readPassphraseFile, type SealingSecret } from './sealing/sealing-secret.ts';
