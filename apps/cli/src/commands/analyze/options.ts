import { existsSync, readFileSync } from 'node:fs';
import { analyzers, levels, messageTypes, parseSuppression, type AnalysisOptions, type Level, type SourceText, type Suppression } from '@meltemi/config/analysis';
import { CliError, exitCode } from '../../cli-error.ts';
import type { Output } from '../../output.ts';

/** The flags of `meltemi analyze`, as commander reads them. */
export interface AnalyzeFlags {
  readonly filename?: readonly string[];
  readonly namespace?: string;
  readonly allNamespaces?: true;
  readonly output?: string;
  readonly suppress: readonly string[];
  readonly failureThreshold: string;
  readonly outputThreshold: string;
  readonly meshConfig?: string;
  readonly meshConfigFile?: string;
  readonly meshNetworks?: string;
  readonly analyzer: readonly string[];
  readonly remoteCluster: readonly string[];
  readonly ignoreUnknown?: true;
  readonly color?: string | boolean;
  readonly fix?: true;
  readonly write?: true;
  readonly listAnalyzers?: true;
  readonly verbose?: true;
}

const formats = ['log', 'json', 'yaml'] as const;
export type AnalyzeFormat = (typeof formats)[number];

export function formatOf(flag: string | undefined): AnalyzeFormat {
  const found = formats.find((one) => one === (flag ?? 'log').toLowerCase());
  if (!found) throw new CliError(`-o ${flag}: use ${formats.join(', ')}`, exitCode.usage);
  return found;
}

export function levelOf(flag: 'failure-threshold' | 'output-threshold', text: string): Level {
  const found = levels.find((level) => level.toLowerCase() === text.toLowerCase());
  if (!found) throw new CliError(`--${flag} ${text}: use ${levels.toReversed().join(', ')}`, exitCode.usage);
  return found;
}

/** What the flags ask of the analysis itself. */
export function analysisOptions(flags: AnalyzeFlags, output: Output): AnalysisOptions {
  const unknown = flags.analyzer.find((name) => !analyzers.some((one) => one.name === name));
  if (unknown !== undefined) throw new CliError(`There is no analyzer "${unknown}". meltemi analyze --list-analyzers shows them.`, exitCode.usage);
  const meshConfig = flags.meshConfig ?? flags.meshConfigFile;
  return {
    analyzers: flags.analyzer,
    suppressions: flags.suppress.map((text) => suppression(text, output)),
    ignoreUnknown: flags.ignoreUnknown === true,
    // Istio's own switch, under its own name.
    scopeGatewayToNamespace: process.env['PILOT_SCOPE_GATEWAY_TO_NAMESPACE'] === 'true',
    now: new Date(),
    ...(flags.namespace !== undefined && flags.allNamespaces !== true ? { namespaces: [flags.namespace] } : {}),
    ...(flags.namespace !== undefined ? { defaultNamespace: flags.namespace } : {}),
    ...(meshConfig !== undefined ? { meshConfig: settingsFile('--mesh-config', meshConfig) } : {}),
    ...(flags.meshNetworks !== undefined ? { meshNetworks: settingsFile('--mesh-networks', flags.meshNetworks) } : {}),
  };
}

function suppression(text: string, output: Output): Suppression {
  const parsed = parseSuppression(text);
  if (!parsed) throw new CliError(`--suppress ${text}: write CODE=OBJECT, like "IST0102=Namespace foo" or "IST0103=Pod *.testing"`, exitCode.usage);
  if (!messageTypes.some((type) => type.code === parsed.code)) output.err(`--suppress ${text}: there is no code ${parsed.code}, so this suppresses nothing`);
  return parsed;
}

function settingsFile(flag: string, path: string): SourceText {
  if (!existsSync(path)) throw new CliError(`${flag} ${path}: there is no such file`);
  return { name: path, text: readFileSync(path, 'utf8') };
}
