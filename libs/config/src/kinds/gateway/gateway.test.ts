import assert from 'node:assert/strict';
import { test } from 'node:test';
import { table, verdict } from '../../testing/verdict.ts';
import { gateway } from './kind.ts';

const server = (port: string, more = ''): string => `{selector: {istio: ingressgateway}, servers: [{port: {${port}}, hosts: ["*"]${more}}]}`;
const http = 'number: 80, name: http, protocol: HTTP';
const https = 'number: 443, name: https, protocol: HTTPS';
const hosts = (list: string): string => `{servers: [{port: {${http}}, hosts: [${list}]}]}`;

table(gateway, {
  good: [
    ['plain HTTP', server(http)],
    ['a redirect to HTTPS', server(http, ', tls: {httpsRedirect: true}')],
    ['a certificate by name', server(https, ', tls: {mode: SIMPLE, credentialName: shop}')],
    ['certificates by file', server(https, ', tls: {mode: MUTUAL, serverCertificate: /c, privateKey: /k, caCertificates: /ca}')],
    ['passthrough', server('number: 443, name: tls, protocol: tls', ', tls: {mode: PASSTHROUGH}')],
    ['scoped hosts', hosts('"./*", "prod/*.example.com", "*/a.example.com", "10.0.0.1"')],
    ['a Unix socket', server('number: 0, name: http, protocol: HTTP', ', bind: unix:///run/gw.sock')],
    ['TCP', server('number: 31400, name: tcp, protocol: TCP')],
  ],
  bad: [
    ['no server', '{selector: {a: b}}', 'spec.servers', /at least one/],
    ['a server without hosts', `{servers: [{port: {${http}}}]}`, 'spec.servers[0].hosts', /required/],
    ['a short host', hosts('shop'), 'spec.servers[0].hosts[0]', /short name/],
    ['a partial wildcard', hosts('"*foo.example.com"'), 'spec.servers[0].hosts[0]', /host name|partial/],
    ['a bad namespace', hosts('"a_b/*"'), 'spec.servers[0].hosts[0]', /namespace/],
    ['no port', '{servers: [{hosts: ["*"]}]}', 'spec.servers[0].port', /required/],
    ['port 0', server('number: 0, name: http, protocol: HTTP'), 'spec.servers[0].port.number', /65535/],
    ['an unknown protocol', server('number: 1, name: a, protocol: QUIC'), 'spec.servers[0].port.protocol', /not a protocol/],
    ['a port without name', server('number: 80, protocol: HTTP'), 'spec.servers[0].port.name', /required/],
    ['a port name twice', `{servers: [{port: {${http}}, hosts: ["*"]}, {port: {number: 81, name: http, protocol: HTTP}, hosts: ["*"]}]}`, 'spec.servers[1].port.name', /already/],
    ['HTTPS without TLS', server(https), 'spec.servers[0].tls', /required/],
    ['TLS on plain HTTP', server(http, ', tls: {mode: SIMPLE, credentialName: a}'), 'spec.servers[0].tls', /HTTPS/],
    ['TLS on TCP', server('number: 1, name: a, protocol: TCP', ', tls: {mode: SIMPLE, credentialName: a}'), 'spec.servers[0].tls', /only HTTPS and TLS/],
    ['SIMPLE without a certificate', server(https, ', tls: {mode: SIMPLE}'), 'spec.servers[0].tls.serverCertificate', /required/],
    ['SIMPLE without a key', server(https, ', tls: {mode: SIMPLE, serverCertificate: /c}'), 'spec.servers[0].tls.privateKey', /required/],
    ['MUTUAL without a CA', server(https, ', tls: {mode: MUTUAL, serverCertificate: /c, privateKey: /k}'), 'spec.servers[0].tls.caCertificates', /required/],
    ['ISTIO_MUTUAL with a secret', server(https, ', tls: {mode: ISTIO_MUTUAL, credentialName: a}'), 'spec.servers[0].tls.credentialName', /workload certificate/],
    ['secret and file', server(https, ', tls: {mode: SIMPLE, credentialName: a, serverCertificate: /c, privateKey: /k}'), 'spec.servers[0].tls', /only one of/],
    ['a socket with a port', server(http, ', bind: unix:///run/gw.sock'), 'spec.servers[0].port.number', /0/],
    ['a bind that is no IP', server(http, ', bind: localhost'), 'spec.servers[0].bind', /IP address/],
    ['targetPort', server(`${http}, targetPort: 8080`), 'spec.servers[0].port.targetPort', /no effect/],
    ['TLS mode in small letters', server(https, ', tls: {mode: simple}'), 'spec.servers[0].tls.mode', /did you mean "SIMPLE"/],
  ],
  warns: [
    ['an unknown cipher', server(https, ', tls: {mode: SIMPLE, credentialName: a, cipherSuites: [ROT13]}'), 'spec.servers[0].tls.cipherSuites[0]', /ignored/],
    ['certificates for passthrough', server(https, ', tls: {mode: PASSTHROUGH, credentialName: a}'), 'spec.servers[0].tls', /ignored/],
    ['httpsRedirect on HTTPS', server(https, ', tls: {mode: SIMPLE, credentialName: a, httpsRedirect: true}'), 'spec.servers[0].tls.httpsRedirect', /plain HTTP/],
  ],
});

test('Gateway: refuses a name with a dot, which no VirtualService could refer to', () => {
  assert.match(verdict(gateway, server(http), { name: 'a.b' }).errors.join(), /metadata\.name/);
});
