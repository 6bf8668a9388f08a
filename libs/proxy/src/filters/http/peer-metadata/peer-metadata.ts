import { ok } from '@meltemi/base';
import { Config } from '@meltemi/api/gen/istio/proxy/peer_metadata.ts';
import type { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';
import { FilterEvents, FilterStatus, HttpStreamFilter, type FilterContext, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';
import { downstreamPeerKey, readPeerFacts, upstreamPeerKey, writePeerFacts } from './peer-facts.ts';

const header = 'x-envoy-peer-metadata';
const idHeader = 'x-envoy-peer-metadata-id';

/** Which ways metadata goes by header. */
export interface PeerMetadataConfig {
  /** Read from requests and told in responses to those who told us. */
  readonly readDownstream: boolean;
  readonly tellDownstream: boolean;
  readonly readUpstream: boolean;
  readonly tellUpstream: boolean;
  /** Nothing is told to clusters outside the mesh. */
  readonly skipExternal: boolean;
}

/** Learns who is at the other end and tells who we are, in headers that neither application sees. */
export const peerMetadataFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.peer_metadata',
  typeUrls: ['type.googleapis.com/io.istio.http.peer_metadata.Config'],
  stage: 'metadata',
  trust: 'untrusted-downstream-and-upstream',
  parse(bytes, ctx) {
    const message = Config.decode(bytes);
    if (message.sharedWithUpstream) ctx.warn(`${ctx.path}.shared_with_upstream`, 'what is learned is kept to this stream');
    const byHeaders = (methods: readonly { methodSpecifier?: { $case: string } | undefined }[]) => methods.some(({ methodSpecifier }) => methodSpecifier?.$case === 'istioHeaders');
    return ok({
      readDownstream: byHeaders(message.downstreamDiscovery),
      tellDownstream: byHeaders(message.downstreamPropagation),
      readUpstream: byHeaders(message.upstreamDiscovery),
      tellUpstream: byHeaders(message.upstreamPropagation),
      skipExternal: message.upstreamPropagation.some(({ methodSpecifier }) => methodSpecifier?.$case === 'istioHeaders' && methodSpecifier.value.skipExternalClusters),
    });
  },
  bind(config, ctx) {
    const filter = new PeerMetadata(config as PeerMetadataConfig, ctx);
    return { events: FilterEvents.decodeHead | FilterEvents.encodeHead, create: () => filter };
  },
};

/** Keeps nothing between calls: one object serves all streams. @hot */
class PeerMetadata extends HttpStreamFilter {
  readonly #config: PeerMetadataConfig;
  readonly #own: string;
  readonly #id: string;

  constructor(config: PeerMetadataConfig, ctx: FilterContext) {
    super();
    this.#config = config;
    this.#own = writePeerFacts(ctx.node);
    this.#id = ctx.node.id;
  }

  override decodeHead(stream: StreamControls, head: RequestHead): number {
    const sent = takeMetadata(head.headers);
    if (this.#config.readDownstream && sent !== null) learn(stream, downstreamPeerKey, sent);
    if (this.#config.tellUpstream && !(this.#config.skipExternal && leavesMesh(stream))) head.headers.flat.push(header, this.#own, idHeader, this.#id);
    return FilterStatus.continue;
  }

  override encodeHead(stream: StreamControls, head: ResponseHead): number {
    const sent = takeMetadata(head.headers);
    if (this.#config.readUpstream && sent !== null) learn(stream, upstreamPeerKey, sent);
    // Those who did not tell us are no proxies of the mesh: they get nothing to wonder about.
    if (this.#config.tellDownstream && stream.info.filterState?.has(downstreamPeerKey) === true) head.headers.flat.push(header, this.#own, idHeader, this.#id);
    return FilterStatus.continue;
  }
}

/** As Istio marks clusters: a service from outside, or any address that no service has. */
function leavesMesh(stream: StreamControls): boolean {
  const name = stream.info.upstreamCluster;
  return name === 'PassthroughCluster' || (name !== null && stream.clusters.get(name)?.config.metadata?.['istio']?.['external'] === true);
}

function learn(stream: StreamControls, key: string, value: string): void {
  const facts = readPeerFacts(value);
  if (facts !== null) stream.info.setFilterState(key, facts);
}

/** Removes both headers and gives the metadata's value, or null. */
function takeMetadata(headers: HeaderMap): string | null {
  const flat = headers.flat;
  let value: string | null = null;
  let found = false;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i];
    if (name !== header && name !== idHeader) continue;
    if (name === header) value = flat[i + 1] ?? null;
    found = true;
  }
  if (!found) return null;
  headers.remove(header);
  headers.remove(idHeader);
  return value;
}
