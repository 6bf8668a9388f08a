import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '@meltemi/base';
import type { Config } from '@meltemi/config';
import { defaultFeatures, wantedKeys, type KeySets } from '@meltemi/pilot';
import { httpKeyServer, JwksKeeper } from '@meltemi/pilot-edge';
import { testJwks } from './tokens.ts';

/** `/slow` answers after so long. */
const slowMs = 400;

/** An issuer on this machine: `/keys` is its key set, which its OpenID configuration names; `/slow` takes its time, `/moved` sends elsewhere, `/broken` is no key set. */
export class KeyIssuer {
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      if (request.url === '/keys') response.end(testJwks);
      else if (request.url === '/slow') setTimeout(() => response.end(testJwks), slowMs).unref();
      else if (request.url === '/moved') response.writeHead(302, { location: `${this.url}/keys` }).end();
      else if (request.url === '/broken') response.end('{"keys": "none"}');
      else if (request.url === '/.well-known/openid-configuration') response.end(JSON.stringify({ issuer: this.url, jwks_uri: `${this.url}/keys` }));
      else response.writeHead(404).end();
    });
    this.#server.unref();
  }

  static async start(): Promise<KeyIssuer> {
    const issuer = new KeyIssuer();
    await new Promise<void>((resolve) => issuer.#server.listen(0, '127.0.0.1', resolve));
    return issuer;
  }

  /** What `${ISSUER}` stands for in a case. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What pilot's own keeper gets at its first try of the keys that these objects name. */
  async keySetsFor(configs: Iterable<Config>): Promise<KeySets> {
    const server = httpKeyServer();
    const nothing = () => {};
    const keeper = new JwksKeeper({ server, clock: systemClock, log: { info: nothing, warn: nothing }, stats: { fetched: { inc: nothing }, failed: { inc: nothing } }, onChange: nothing });
    keeper.want(wantedKeys(configs, defaultFeatures));
    await keeper.tried(10_000);
    const { keySets } = keeper;
    keeper.stop();
    await server.close();
    return keySets;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
