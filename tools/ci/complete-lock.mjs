// Completes package-lock.json after `npm install` on a registry that lacks some platforms' builds of a tool: npm drops optional packages it
// cannot look up, and then `npm ci` refuses its own lock. They are entered by name and version, for other platforms only, and never fetched here.
import { readFileSync, writeFileSync } from 'node:fs';

const file = new URL('../../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(file, 'utf8'));
const platforms = { darwin: 'darwin', freebsd: 'freebsd', linux: 'linux', win32: 'win32', android: 'android', openharmony: 'openharmony', aix: 'aix', netbsd: 'netbsd', openbsd: 'openbsd', sunos: 'sunos' };
const processors = { 'arm-eabi': 'arm', 'arm-gnueabihf': 'arm', 'arm-musleabihf': 'arm', arm64: 'arm64', x64: 'x64', ia32: 'ia32', ppc64: 'ppc64', riscv64: 'riscv64', s390x: 's390x', loong64: 'loong64' };
let added = 0;
for (const [path, entry] of Object.entries({ ...lock.packages })) {
  if (path === '' || entry.link) continue;
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const at = `node_modules/${name}`;
    if (lock.packages[at] || lock.packages[`${path}/${at}`]) continue;
    const os = Object.keys(platforms).find((word) => name.includes(word));
    const cpu = Object.keys(processors).find((word) => new RegExp(`(^|[-/])${word}($|-)`).test(name));
    if (!os || !cpu) throw new Error(`${name} of ${path} is not in the lock, and its name tells no platform: run npm install where it can be had`);
    if (os === 'linux' && process.platform === 'linux' && processors[cpu] === process.arch && !/musl/.test(name)) throw new Error(`${name} is for this very platform and cannot be had`);
    lock.packages[at] = { version, cpu: [processors[cpu]], ...(/musl/.test(name) ? { libc: ['musl'] } : {}), license: entry.license, optional: true, os: [platforms[os]], ...(entry.dev ? { dev: true } : {}) };
    added += 1;
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${added} optional packages of other platforms entered`);
