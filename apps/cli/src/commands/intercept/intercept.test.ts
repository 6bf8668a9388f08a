import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { runMeltemi } from '../../testing/run-meltemi.ts';

const meltemi = (...args: string[]) => runMeltemi(tmpdir(), ['intercept', ...args]);

test('a dry run prints the rules of the named program, with Istio\'s short flags and long ones', async () => {
  const nft = await meltemi('apply', '--dry-run', '--backend', 'nftables', '-p', '16001', '--istio-local-exclude-ports', '22', '-m', 'TPROXY');
  assert.equal(nft.code, 0, nft.err);
  assert.match(nft.out, /redirect to :16001/);
  assert.match(nft.out, /tcp dport 22 return comment "inbound port 22 is left alone"/);
  assert.match(nft.out, /^# ip -4 rule add fwmark 1337 lookup 133$/m);
  assert.match((await meltemi('apply', '--dry-run', '--backend', 'iptables')).out, /^# iptables-restore --noflush\n\*nat\n/m);
});

test('wrong settings are named all at once, and nothing is done', async () => {
  const ran = await meltemi('apply', '-u', 'nobody', '-i', 'everywhere');
  assert.equal(ran.code, 64);
  assert.match(ran.err, /--proxy-uid: "nobody" is not a number[^]*--istio-service-cidr: "everywhere" is not an address range/);
});

test('skipping leaves it to somebody else', async () => {
  assert.match((await meltemi('apply', '--skip-rule-apply')).out, /Nothing was done/);
});
