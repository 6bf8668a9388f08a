import type { ProxyHeaders } from '@meltemi/config';
import { Http1ProtocolOptions, Http1ProtocolOptions_HeaderKeyFormat } from '@meltemi/api/gen/envoy/config/core/v3/protocol.ts';
import {
  type HttpConnectionManager, HttpConnectionManager_ForwardClientCertDetails as ForwardCert, HttpConnectionManager_ServerHeaderTransformation as ServerHeader,
  HttpConnectionManager_SetCurrentClientCertDetails,
} from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { PreserveCaseFormatterConfig } from '@meltemi/api/gen/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import { effectiveProxyConfig } from '../../push-context/proxy-config.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import type { Direction } from '../features/feature.ts';
import { create, createAny } from '../message.ts';

/** What its ProxyConfig says of headers that the proxy itself writes. Source: Istio's proxy_headers.go. */
export function headersOf(push: Pick<PushContext, 'mesh'>, proxy: Proxy): Partial<ProxyHeaders> {
  return effectiveProxyConfig(push, proxy).proxyHeaders ?? {};
}

/** x-envoy-attempt-count is sent unless switched off. */
export function countsAttempts(push: Pick<PushContext, 'mesh'>, proxy: Proxy): boolean {
  return headersOf(push, proxy).attemptCount?.disabled !== true;
}

/** The part of a connection manager about such headers. */
export function ownHeaders(push: Pick<PushContext, 'mesh'>, proxy: Proxy, direction: Direction): Partial<HttpConnectionManager> {
  const headers = headersOf(push, proxy);
  return {
    generateRequestId: headers.requestId?.disabled !== true,
    appendXForwardedPort: headers.xForwardedPort?.enabled === true,
    ...serverHeader(headers, direction),
    ...clientCertificate(push, proxy, direction),
  };
}

function serverHeader({ server }: Partial<ProxyHeaders>, direction: Direction): Partial<HttpConnectionManager> {
  if (server?.disabled === true) return { serverHeaderTransformation: ServerHeader.PASS_THROUGH };
  if (server && server.value !== '') return { serverName: server.value };
  // likely an accident of Istio's, kept for compatibility: only outbound listeners say "envoy"
  return direction === 'outbound' ? {} : { serverName: 'istio-envoy' };
}

/** Who vouches for x-forwarded-client-cert: a sidecar adds its peer, a gateway starts afresh, unless told otherwise. */
function clientCertificate(push: Pick<PushContext, 'mesh'>, proxy: Proxy, direction: Direction): Partial<HttpConnectionManager> {
  if (direction === 'outbound') return {};
  const { forwardedClientCert = 'UNDEFINED', setCurrentClientCertDetails: told } = headersOf(push, proxy);
  if (direction === 'inbound') {
    return {
      forwardClientCertDetails: forwardedClientCert === 'UNDEFINED' ? ForwardCert.APPEND_FORWARD : ForwardCert[forwardedClientCert],
      setCurrentClientCertDetails: create(HttpConnectionManager_SetCurrentClientCertDetails, {
        subject: told?.subject ?? true, dns: told?.dns ?? true, uri: told?.uri ?? true, cert: told?.cert ?? false, chain: told?.chain ?? false,
      }),
    };
  }
  const topology = effectiveProxyConfig(push, proxy).gatewayTopology;
  const wanted = topology?.forwardClientCertDetails ?? 'UNDEFINED';
  const forwarding = wanted === 'UNDEFINED' ? ForwardCert.SANITIZE_SET : ForwardCert[wanted];
  const tells = forwarding === ForwardCert.SANITIZE_SET || forwarding === ForwardCert.APPEND_FORWARD;
  return {
    forwardClientCertDetails: forwarding,
    ...(tells ? { setCurrentClientCertDetails: create(HttpConnectionManager_SetCurrentClientCertDetails, { subject: true, dns: true, uri: true, cert: true }) } : {}),
    xffNumTrustedHops: topology?.numTrustedProxies ?? 0,
  };
}

/** HTTP/1 as this mesh wants it; undefined when it wants nothing special. */
export function http1Options(push: Pick<PushContext, 'mesh' | 'features'>, proxy: Proxy, explicitProxy: boolean): Http1ProtocolOptions | undefined {
  const acceptHttp10 = push.features.http10 || proxy.metadata['HTTP10'] === '1';
  const preserveCase = headersOf(push, proxy).preserveHttp1HeaderCase === true;
  if (!acceptHttp10 && !preserveCase && !explicitProxy) return undefined;
  return create(Http1ProtocolOptions, {
    acceptHttp10,
    ...(explicitProxy ? { allowAbsoluteUrl: true } : {}),
    ...(preserveCase ? { headerKeyFormat: asWritten() } : {}),
  });
}

/** Header names keep the case that they came in. */
export function asWritten(): Http1ProtocolOptions_HeaderKeyFormat {
  const formatter = createAny('envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig', PreserveCaseFormatterConfig);
  return create(Http1ProtocolOptions_HeaderKeyFormat, { headerFormat: { $case: 'statefulFormatter', value: { name: 'preserve_case', typedConfig: formatter } } });
}
