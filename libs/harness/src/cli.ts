import { spawn } from 'node:child_process';
import type { LocalMesh } from './local-mesh.ts';
import { programCommand, repository } from './programs.ts';

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `meltemi` against a mesh, as a user would. */
export function meltemi(mesh: LocalMesh, args: readonly string[], options: { stdin?: string; deadlineMs?: number } = {}): Promise<CliResult> {
  const [command, ...before] = programCommand('cli', mesh.options.from ?? 'source');
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...before, ...args], { cwd: repository, env: { ...process.env, MELTEMI_CONTEXT: mesh.contextFile }, stdio: ['pipe', 'pipe', 'pipe'], timeout: options.deadlineMs ?? 60_000 });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (part: Buffer) => out.push(part));
    child.stderr.on('data', (part: Buffer) => err.push(part));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 1, stdout: Buffer.concat(out).toString('utf8'), stderr: Buffer.concat(err).toString('utf8') }));
    child.stdin.end(options.stdin ?? '');
  });
}

/** `meltemi apply --wait`; rejects with what it said when it fails. */
export async function applyAndWait(mesh: LocalMesh, input: { files: readonly string[] } | { yaml: string }): Promise<void> {
  const args = 'files' in input ? input.files.flatMap((file) => ['-f', file]) : ['-f', '-'];
  const result = await meltemi(mesh, ['apply', '--wait', ...args], 'yaml' in input ? { stdin: input.yaml } : {});
  if (result.code !== 0) throw new Error(`meltemi apply --wait ended with ${result.code}:\n${result.stdout}${result.stderr}`);
}
