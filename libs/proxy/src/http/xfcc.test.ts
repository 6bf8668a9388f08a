import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderMap, type TlsInfo } from '@meltemi/http';
import type { HcmConfig } from '@meltemi/snapshot';
import { applyXfcc } from './xfcc.ts';

const config = { forwardClientCert: 'sanitize-set', setCurrentClientCert: { subject: true, cert: false, chain: false, dns: true, uri: true } } as unknown as HcmConfig;
const peer = { peerPresented: true, localUriSans: [], peerUriSans: [], peerDnsSans: [], peerFingerprint256: '', peerSubject: '', peerCertPem: '', peerChainPem: '' };

function elementOf(names: Partial<TlsInfo>): string | null {
  const headers = new HeaderMap();
  applyXfcc(config, { ...peer, ...names } as unknown as TlsInfo, headers);
  return headers.get('x-forwarded-client-cert');
}

test('names in a client certificate add no elements and no lines to the header', () => {
  assert.equal(
    elementOf({ peerUriSans: ['spiffe://c;URI=spiffe://admin', 'spiffe://d,By=x', 'spiffe://e\r\nx-admin: 1', 'spiffe://\ud800'], peerDnsSans: ['a"b'] }),
    'Subject="";URI=spiffe://c%3BURI=spiffe://admin;URI=spiffe://d%2CBy=x;URI=spiffe://e%0D%0Ax-admin:%201;URI=spiffe://%EF%BF%BD;DNS=a%22b',
  );
});

test('an element is appended to what there is, be it nothing', () => {
  for (const [sent, expected] of [['By=a', 'By=a,Subject="CN=b"'], ['', 'Subject="CN=b"']] as const) {
    const headers = new HeaderMap(['x-forwarded-client-cert', sent]);
    applyXfcc({ ...config, forwardClientCert: 'append-forward' }, { ...peer, peerSubject: 'CN=b' } as unknown as TlsInfo, headers);
    assert.equal(headers.get('x-forwarded-client-cert'), expected);
  }
});

test('a subject stays as RFC 2253 escaped it', () => {
  assert.equal(elementOf({ peerSubject: 'CN=a\\",URI=spiffe://admin' }), 'Subject="CN=a\\",URI=spiffe://admin"');
});
