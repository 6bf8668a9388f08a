export { openCertificateService, CertificateService, type CertificateServiceOptions, type Issuance } from './certificate-service.ts';
export type { CallerProof, Caller } from './authenticate.ts';
export type { CitadelError, CitadelErrorCode } from './errors.ts';
export type { Entropy } from './entropy.ts';
export type { IssuedCertificate } from './issue.ts';
export type { AuthorityMaterial, Keystore, TokenRecord, TokenState } from './keystore.ts';
export { MemoryKeystore } from './memory-keystore.ts';
