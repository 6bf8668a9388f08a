// `npm run bench -- citadel`: certificates issued a second of one core over gRPC, latency at a fixed rate, memory.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { repository } from '@meltemi/harness';
import { machine, machineLine } from '../machine.ts';
import { measureFloor } from './floor.ts';
import { measureCitadel, type CitadelSettings } from './measure.ts';
import { report } from './report.ts';

const usage = `npm run bench -- citadel [options]: what one citadel spends on a certificate, for workloads that renew over mTLS. Requests are made beforehand.

  --seconds N       of each measurement (default 10)
  --rounds N        of throughput; open connections and one each take turns (default 3)
  --callers N       workloads, an identity and a connection each (default 16)
  --outstanding N   requests each has under way when it goes as fast as it can (default 2)
  --rate N          certificates a second whose latency is measured (default 50)
  --core N          core that citadel is kept on; -1 lets it roam (default 0)
  --from KIND       bundle or source (default bundle)
  --profile DIR     a CPU profile of citadel, from its start to its end
  --json FILE       where the numbers go (default .meltemi/bench/citadel.json)`;

async function main(): Promise<number> {
  const settings = readSettings();
  if (typeof settings === 'number') return settings;
  const facts = machine();
  console.log(`${machineLine(facts)}\n`);
  const floor = measureFloor();
  if (!floor) console.log('openssl is missing (apt-get install openssl): no floor');
  const result = await measureCitadel(settings);
  console.log(`${report(result, settings.perSecond, floor)}\n`);
  mkdirSync(dirname(settings.json), { recursive: true });
  writeFileSync(settings.json, `${JSON.stringify({ machine: facts, command: `npm run bench -- citadel ${process.argv.slice(2).join(' ')}`.trim(), settings, floor, result }, null, 2)}\n`);
  console.log(settings.json);
  return 0;
}

function readSettings(): (CitadelSettings & { readonly json: string }) | number {
  const text = (fallback: string) => ({ type: 'string', default: fallback }) as const;
  const { values } = parseArgs({
    options: {
      seconds: text('10'), rounds: text('3'), callers: text('16'), outstanding: text('2'), rate: text('50'), core: text('0'), from: text('bundle'),
      profile: { type: 'string' }, json: text(join(repository, '.meltemi/bench/citadel.json')), help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const [seconds, rounds, callers, outstanding, perSecond, core] = [values.seconds, values.rounds, values.callers, values.outstanding, values.rate, values.core].map(Number);
  const counts = [rounds, callers, outstanding];
  if (!seconds || !perSecond || seconds <= 0 || perSecond <= 0 || counts.some((count) => !Number.isInteger(count) || !count || count < 1) || core === undefined || !Number.isInteger(core) || (values.from !== 'bundle' && values.from !== 'source')) {
    console.error(usage);
    return 2;
  }
  const [roundCount = 1, callerCount = 1, outstandingCount = 1] = counts;
  return {
    seconds, rounds: roundCount, callers: callerCount, outstanding: outstandingCount, perSecond, core: core < 0 ? undefined : core, from: values.from, json: resolve(values.json),
    ...(values.profile !== undefined && { profile: resolve(values.profile) }),
  };
}

process.exitCode = await main().catch((cause: unknown) => {
  console.error(cause instanceof Error ? cause.message : cause);
  return 1;
});
