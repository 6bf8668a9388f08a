import type { Result } from '@meltemi/base';

/** Another authority, which signs in citadel's place. */
export interface UpstreamCa {
  /** Sends a request on; PEM, leaf first. An error says why there is no certificate. Bounded in time and size; never rejects. What comes back is not believed. */
  sign(request: { readonly csr: string; readonly lifetimeMs: number }): Promise<Result<readonly string[], string>>;
}
