export { claimDirectory } from './claim-directory.ts';
export { claimKeystore, type ClaimedKeystore, type KeystoreLocation } from './keystore-place.ts';
export { copyKeystore, type CopiedKeystore, type KeystoreSide } from './copy-keystore.ts';
