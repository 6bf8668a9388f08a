import { istioHttpLabels, istioTcpLabels } from '@meltemi/observe';
import { peerFields } from '../attributes/peer-fields.ts';
import { outbound, textOf, type AttributeName, type Attributes } from '../attributes/vocabulary.ts';

const attributeOfLabel = new Map<string, AttributeName>(peerFields);

/** Label values in the order of istioHttpLabels. */
export function httpLabelValues(attributes: Attributes): string[] {
  return istioHttpLabels.map((label) => labelValue(label, attributes));
}

/** Label values in the order of istioTcpLabels. */
export function tcpLabelValues(attributes: Attributes): string[] {
  return istioTcpLabels.map((label) => labelValue(label, attributes));
}

function labelValue(label: string, attributes: Attributes): string {
  const reportedBySource = attributes.get('context.reporter.kind') === outbound;
  switch (label) {
    case 'reporter':
      return reportedBySource ? 'source' : 'destination';
    case 'response_code':
      return String(attributes.get('response.code') ?? 0);
    case 'grpc_response_status':
      return textOf(attributes, 'response.grpc_status', '');
    case 'response_flags':
      return textOf(attributes, 'context.proxy_error_code', '-');
    case 'connection_security_policy':
      return securityPolicy(attributes, reportedBySource);
    default: {
      const attribute = attributeOfLabel.get(label);
      return attribute === undefined ? 'unknown' : textOf(attributes, attribute);
    }
  }
}

/** Istio's rule: only the destination says what the connection was. */
function securityPolicy(attributes: Attributes, reportedBySource: boolean): string {
  const mtls = attributes.get('connection.mtls');
  if (reportedBySource || mtls === undefined) return 'unknown';
  return mtls === true ? 'mutual_tls' : 'none';
}
