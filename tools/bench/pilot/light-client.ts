import { connect, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { DeltaDiscoveryRequest } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { xdsType } from '@meltemi/xds';
import { readResponse, type ReadResponse } from './read-response.ts';

/** What an xDS client asks for by name, found out once by a client that reads what it gets. */
export interface Names {
  readonly endpoints: readonly string[];
  readonly routes: readonly string[];
}

const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
const windowBytes = 64 << 20;

/** A delta ADS client that acknowledges everything and decodes no resource: a thousand of them cost the bench little beside what they cost pilot. */
export class LightClient {
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  readonly #got = new Map<string, number>();
  #parts: Buffer[] = [];
  #held = 0;
  /** Bytes of gRPC messages it got. */
  received = 0;
  /** Responses since `begin`, and the resources in them. */
  responses = 0;
  resources = 0;
  /** Called with each response. */
  onResponse: (response: ReadResponse) => void = () => undefined;

  constructor(port: number, node: Node, names: Names) {
    this.#session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: windowBytes } });
    // stopped before it was connected, when the bench's time is over
    this.#session.once('connect', () => void (this.#session.destroyed || this.#session.setLocalWindowSize(windowBytes)));
    this.#stream = this.#session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' }, { endStream: false });
    this.#stream.on('data', (part: Buffer) => this.#take(part));
    for (const emitter of [this.#session, this.#stream]) emitter.on('error', () => undefined);
    this.#send({ typeUrl: xdsType.cluster, resourceNamesSubscribe: ['*'], node });
    this.#send({ typeUrl: xdsType.endpoint, resourceNamesSubscribe: [...names.endpoints] });
    this.#send({ typeUrl: xdsType.listener, resourceNamesSubscribe: ['*'] });
    this.#send({ typeUrl: xdsType.route, resourceNamesSubscribe: [...names.routes] });
  }

  /** It has had resources of every type. */
  get served(): boolean {
    return [xdsType.cluster, xdsType.endpoint, xdsType.listener, xdsType.route].every((type) => this.#got.has(type));
  }

  begin(): void {
    this.received = 0;
    this.responses = 0;
    this.resources = 0;
  }

  stop(): void {
    this.#session.destroy();
  }

  #take(part: Buffer): void {
    this.#parts.push(part);
    this.#held += part.length;
    while (this.#held >= 5) {
      const head = this.#parts[0]?.length !== undefined && this.#parts[0].length >= 5 ? this.#parts[0] : this.#joined();
      const size = 5 + head.readUInt32BE(1);
      if (this.#held < size) return;
      const all = this.#joined();
      this.#parts = all.length > size ? [all.subarray(size)] : [];
      this.#held -= size;
      this.received += size;
      this.#answer(readResponse(all.subarray(5, size)));
    }
  }

  #joined(): Buffer {
    const [only] = this.#parts;
    const all = this.#parts.length === 1 && only ? only : Buffer.concat(this.#parts);
    this.#parts = [all];
    return all;
  }

  #answer(response: ReadResponse): void {
    this.#got.set(response.typeUrl, (this.#got.get(response.typeUrl) ?? 0) + response.resources);
    this.responses++;
    this.resources += response.resources;
    this.#send({ typeUrl: response.typeUrl, responseNonce: response.nonce });
    this.onResponse(response);
  }

  #send(request: Partial<DeltaDiscoveryRequest>): void {
    const bytes = DeltaDiscoveryRequest.encode({ typeUrl: '', resourceNamesSubscribe: [], resourceNamesUnsubscribe: [], resourceLocatorsSubscribe: [], resourceLocatorsUnsubscribe: [], initialResourceVersions: {}, responseNonce: '', ...request }).finish();
    const framed = Buffer.allocUnsafe(5 + bytes.length);
    framed[0] = 0;
    framed.writeUInt32BE(bytes.length, 1);
    framed.set(bytes, 5);
    this.#stream.write(framed);
  }
}
