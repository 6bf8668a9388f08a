// The real servers that tests run against, from Debian's packages. As root they are installed; otherwise the missing ones are named.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { step } from '../install.mjs';

/** Program looked for → package that has it. */
const programs = {
  etcd: 'etcd-server', etcdctl: 'etcd-client', nginx: 'nginx-light', haproxy: 'haproxy', wrk: 'wrk', h2load: 'nghttp2-client',
  prometheus: 'prometheus', chromium: 'chromium', openssl: 'openssl', curl: 'curl', ss: 'iproute2', iptables: 'iptables', nft: 'nftables',
};

/** File looked for → package that has it, where that has no program. */
const files = { '/usr/lib/python3/dist-packages/grpc/__init__.py': 'python3-grpcio' };

export async function ensureDebianPackages() {
  const missing = [
    ...Object.entries(programs).filter(([program]) => !onPath(program)).map(([, name]) => name),
    ...Object.entries(files).filter(([file]) => !existsSync(file)).map(([, name]) => name),
  ];
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    console.error(`These tests need real servers. Install them, then run npm test again:\n  apt-get install ${missing.join(' ')}`);
    process.exit(1);
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // Some packages start their service when installed; a policy that says no keeps them from it.
  const install = `policy=/usr/sbin/policy-rc.d; if [ ! -e $policy ]; then printf '#!/bin/sh\\nexit 101\\n' > $policy; chmod +x $policy; trap 'rm -f $policy' EXIT; fi; apt-get update -qq && apt-get install -y -qq --no-install-recommends ${missing.join(' ')}`;
  await step(`installing Debian packages: ${missing.join(' ')}`, 'sh', ['-c', install], { env });
}

function onPath(program) {
  return spawnSync('sh', ['-c', `command -v ${program}`], { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` } }).status === 0;
}
