export { Federation, federationProblem, type FederatedDomain, type FederatedStatus, type FederationOptions, type FederationStore } from './federation.ts';
export { FederatedAuthority } from './federated-authority.ts';
export { getBundle, type BundleEndpoint, type BundleGetter, type GetOptions } from './bundle-endpoint.ts';
export { serveBundle, type BundleServer, type BundleServerOptions } from './bundle-server.ts';
export { diskFederationStore } from './federation-store.ts';
