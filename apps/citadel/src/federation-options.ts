import type { OptionSpec } from '@meltemi/observe-edge';

/** Flags of federation with other trust domains. */
export const federationOptions = [
  { name: 'mesh-config', type: 'string', placeholder: 'file', description: "file with Istio's MeshConfig, the one that pilot reads: its caCertificates with trustDomains are the roots of other trust domains, or where those publish them" },
  { name: 'bundle-endpoint-ids', type: 'list', placeholder: 'spiffe ids', description: 'whom the spiffeBundleUrl of the trust domain in each id must lead to (profile https_spiffe); the first roots stand as pem beside it. Of others the certificate is checked as on the web (https_web)' },
  { name: 'bundle-endpoint-ca', type: 'string', placeholder: 'file', description: "authorities of https_web endpoints; default: the web's" },
  { name: 'bundle-listen', type: 'address', description: "serve this trust domain's roots over HTTPS (SPIFFE bundle document, at / and /bundle.json) with citadel's own certificate (https_spiffe); default: not" },
  { name: 'bundle-certificate', type: 'string', placeholder: 'file', description: 'certificate chain for --bundle-listen, PEM, read again every minute (https_web)' },
  { name: 'bundle-key', type: 'string', placeholder: 'file', description: 'key of --bundle-certificate' },
  { name: 'bundle-refresh-hint', type: 'duration', default: '5m', description: 'how soon readers of our bundle document are to ask again' },
] as const satisfies readonly OptionSpec[];
