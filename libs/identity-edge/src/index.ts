export { startIdentityAgent, type IdentityAgent, type IdentityAgentOptions, type AgentLog } from './agent.ts';
export { joinTokenFile, joinTokenText, rootFile, type JoinTokenSource } from './token-source.ts';
export { serverCredentials, type CertificateSource, type ServerCredentialsOptions } from './server-credentials.ts';
export { channelCredentials, type ExpectedServer } from './channel-credentials.ts';
export { VerifiedTlsCredentials, type TlsDialer } from './verified-tls.ts';
export { meshChannelOptions } from './issuance.ts';
export { callerIdentity, type AuthenticatedCall } from './caller.ts';
export { mintJoinToken } from './mint.ts';
export { createMark, isCode, replaceFile, temporarySuffix } from './durable-file.ts';
