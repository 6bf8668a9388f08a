export { claimKeystore, type ClaimedKeystore, type KeystoreLocation } from './claim-keystore.ts';
export { copyKeystore, type CopiedKeystore, type KeystoreSide } from './copy-keystore.ts';
