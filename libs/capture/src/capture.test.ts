import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { formatFieldErrors } from '@meltemi/base';
import { captureRules, iptablesDryRun, iptablesRestore, nftScript, parseCaptureOptions, readIptablesRules, readNftRules } from './index.ts';

const machine = { ipv6: true, dnsServers: ['10.96.0.10', 'fd00::a'] };

function options(flags: Record<string, string>, facts = machine) {
  const parsed = parseCaptureOptions(flags, facts);
  assert.ok(parsed.ok, parsed.ok ? '' : formatFieldErrors(parsed.error));
  return parsed.value;
}

/** Golden files: `UPDATE_GOLDEN=1 node --test src/capture.test.ts` writes them anew; read the difference. */
const cases: Readonly<Record<string, Record<string, string>>> = {
  'defaults': {},
  'ports-and-ranges': {
    'istio-inbound-ports': '8080,9090', 'istio-service-cidr': '10.0.0.0/8,fd00::/8', 'istio-service-exclude-cidr': '10.1.0.0/16', 'istio-outbound-ports': '3306', 'istio-local-outbound-ports-exclude': '22', 'proxy-uid': '1337,2000',
  },
  'excluded': { 'istio-local-exclude-ports': '9999', 'istio-exclude-interfaces': 'eth1', 'kube-virt-interfaces': 'vnet0', 'drop-invalid': 'true' },
  'dns': { 'redirect-dns': 'true' },
  'all-dns': { 'redirect-dns': 'true', 'capture-all-dns': 'true' },
  'tproxy': { 'istio-inbound-interception-mode': 'TPROXY' },
  'outbound-only': { 'istio-inbound-ports': '' },
};

for (const [name, flags] of Object.entries(cases)) {
  test(`rules are as written down: ${name}`, () => {
    const wanted = captureRules(options(flags));
    const text = `${wanted.routes.map((step) => `# ip ${step.add.join(' ')}\n`).join('')}${iptablesDryRun(wanted, true)}# nft -f -\n${nftScript(wanted)}`;
    const file = new URL(`golden/${name}.txt`, import.meta.url);
    if (process.env['UPDATE_GOLDEN']) writeFileSync(file, text);
    assert.equal(text, readFileSync(file, 'utf8'));
  });
}

test('without IPv6 there are no rules for it', () => {
  const wanted = captureRules(options({ 'istio-inbound-interception-mode': 'TPROXY' }, { ipv6: false, dnsServers: [] }));
  assert.doesNotMatch(nftScript(wanted) + JSON.stringify(wanted.routes), /ip6|::/);
});

test('everything wrong is said at once, by flag', () => {
  const parsed = parseCaptureOptions({ 'envoy-port': '0', 'proxy-uid': 'istio-proxy', 'istio-inbound-interception-mode': 'NAT', 'istio-service-cidr': '10.0.0.0/33', 'istio-exclude-interfaces': 'a b', 'istio-outbound-ports': '80,x', 'redirect-dns': 'yes' }, machine);
  assert.ok(!parsed.ok);
  assert.deepEqual(parsed.error.map(({ path }) => path).toSorted(), ['--envoy-port', '--istio-exclude-interfaces', '--istio-inbound-interception-mode', '--istio-outbound-ports', '--istio-service-cidr', '--proxy-uid', '--redirect-dns']);
});

test('DNS capture without a server to capture says what to add', () => {
  const parsed = parseCaptureOptions({ 'redirect-dns': 'true' }, { ipv6: false, dnsServers: [] });
  assert.match(parsed.ok ? '' : formatFieldErrors(parsed.error), /--redirect-dns: \/etc\/resolv\.conf names no DNS server: add --capture-all-dns/);
});

const saved = `*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:MELTEMI_OLD - [0:0]
:MELTEMI_OUTPUT - [0:0]
-A PREROUTING -j DOCKER
-A OUTPUT -p tcp -j MELTEMI_OUTPUT
-A OUTPUT -j DOCKER
-A DOCKER -i docker0 -j RETURN
-A MELTEMI_OUTPUT -m comment --comment "meltemi: loopback is left alone" -j RETURN
COMMIT
`;

test('what was ours is replaced, chains of before included; what is not ours is not named', () => {
  const text = iptablesRestore(captureRules(options({})), 'v4', saved);
  assert.match(text, /^-D OUTPUT -p tcp -j MELTEMI_OUTPUT$/m);
  assert.match(text, /^-X MELTEMI_OLD$/m);
  assert.doesNotMatch(text, /DOCKER|-X MELTEMI_OUTPUT/);
});

test('removing leaves nothing of ours, and has nothing to do when there is nothing', () => {
  assert.equal(iptablesRestore(null, 'v4', saved), '*nat\n:MELTEMI_OLD - [0:0]\n:MELTEMI_OUTPUT - [0:0]\n-D OUTPUT -p tcp -j MELTEMI_OUTPUT\n-X MELTEMI_OLD\n-X MELTEMI_OUTPUT\nCOMMIT\n');
  assert.equal(iptablesRestore(null, 'v4', saved.replaceAll(/^.*MELTEMI.*\n/gm, '')), '');
});

test('installed rules tell what they are for', () => {
  assert.deepEqual(readIptablesRules(saved).map(({ table, chain, why }) => [table, chain, why]), [['nat', 'output', 'loopback is left alone']]);
  const listed = nftScript(captureRules(options({})));
  assert.ok(readNftRules(listed).some(({ table, chain, why }) => table === 'nat' && chain === 'inbound' && why === 'inbound port 15090 is left alone'));
});
