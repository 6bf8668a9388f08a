// `npm run bench -- pilot`: time, CPU, bytes and memory of one pilot in meshes of several sizes, with many delta ADS clients.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { repository } from '@meltemi/harness';
import { machine, machineLine } from '../machine.ts';
import { measureMesh, type MeshSettings } from './measure.ts';
import { growthTable, report, type MeshResult } from './report.ts';

const usage = `npm run bench -- pilot [options]: what one pilot spends, over plaintext xDS on loopback, with delta ADS clients.

  --services LIST   sizes of the mesh, one after another (default 100,1000,5000)
  --endpoints N     of each service (default 10)
  --rules N         VirtualServices, and as many DestinationRules with two subsets (default 1000)
  --namespaces N    services, rules and clients are spread over (default 1)
  --clients LIST    connected delta ADS clients, growing (default 100,1000)
  --changes N       endpoint changes and applied VirtualServices measured at each number of clients (default 5)
  --minutes N       the whole bench ends after this long, finished or not (default 45)
  --from KIND       bundle or source (default bundle)
  --profile DIR     a CPU profile of pilot, from its start to its end, per mesh
  --json FILE       where the numbers go (default .meltemi/bench/pilot.json)`;

interface Settings extends Omit<MeshSettings, 'services' | 'until'> {
  readonly minutes: number;
  readonly sizes: readonly number[];
  readonly json: string;
}

async function main(): Promise<number> {
  const settings = readSettings();
  if (typeof settings === 'number') return settings;
  const facts = machine();
  console.log(`${machineLine(facts)}\n`);
  const results: MeshResult[] = [];
  const until = performance.now() + settings.minutes * 60_000;
  for (const services of settings.sizes) {
    const result = await measureMesh({ ...settings, services, until });
    results.push(result);
    console.log(`${report(result)}\n`);
  }
  if (results.length > 1) console.log(`${growthTable(results)}\n`);
  mkdirSync(dirname(settings.json), { recursive: true });
  writeFileSync(settings.json, `${JSON.stringify({ machine: facts, command: `npm run bench -- pilot ${process.argv.slice(2).join(' ')}`.trim(), settings, results }, null, 2)}\n`);
  console.log(settings.json);
  return 0;
}

function readSettings(): Settings | number {
  const text = (fallback: string) => ({ type: 'string', default: fallback }) as const;
  const { values } = parseArgs({
    options: {
      services: text('100,1000,5000'), endpoints: text('10'), rules: text('1000'), namespaces: text('1'), clients: text('100,1000'), changes: text('5'), minutes: text('45'), from: text('bundle'),
      profile: { type: 'string' }, json: text(join(repository, '.meltemi/bench/pilot.json')), help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const [sizes, clients] = [values.services, values.clients].map((list) => list.split(',').map(Number));
  const [endpoints = 0, rules = -1, changes = 0, minutes = 0, namespaces = 0] = [values.endpoints, values.rules, values.changes, values.minutes, values.namespaces].map(Number);
  const whole = (list: readonly number[] | undefined) => list !== undefined && list.length > 0 && list.every((value) => Number.isInteger(value) && value > 0);
  if (!sizes || !clients || !whole(sizes) || !whole(clients) || !whole([endpoints, changes, minutes, namespaces]) || !Number.isInteger(rules) || rules < 0 || endpoints > 200 || (values.from !== 'bundle' && values.from !== 'source')) {
    console.error(usage);
    return 2;
  }
  if (values.from === 'bundle' && !existsSync(join(repository, 'apps/pilot/dist/main.js'))) {
    console.error('apps/pilot/dist/main.js is missing: npx nx run meltemi-pilot:build');
    return 1;
  }
  return { sizes, clients, endpoints, rules, namespaces, changes, minutes, from: values.from, json: resolve(values.json), ...(values.profile === undefined ? {} : { profile: resolve(values.profile) }) };
}

process.exitCode = await main();
