import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

/** One Nx project as the boundary rules see it. */
export interface Project {
  readonly name: string;
  /** Folder relative to the repository. */
  readonly root: string;
  readonly tags: readonly string[];
  /** Package names its package.json declares. */
  readonly declared: readonly string[];
  /** TypeScript files, tests included, relative to the repository. */
  readonly files: readonly string[];
  /** Names of the projects it depends on, by Nx's own graph. */
  readonly dependsOn: readonly string[];
}

/** Reads projects, tags and edges from `nx graph`, so that the check and Nx cannot disagree. */
export function readWorkspace(repo: string): Project[] {
  const dir = mkdtempSync(join(tmpdir(), 'meltemi-graph-'));
  try {
    const file = join(dir, 'graph.json');
    execFileSync(join(repo, 'node_modules/.bin/nx'), ['graph', `--file=${file}`], { cwd: repo, stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, NX_DAEMON: 'false' } });
    const { graph } = JSON.parse(readFileSync(file, 'utf8')) as NxGraph;
    return Object.values(graph.nodes)
      .filter((node) => node.data.root !== '.')
      .map((node) => ({
        name: node.name,
        root: node.data.root,
        tags: node.data.tags ?? [],
        declared: declaredDependencies(join(repo, node.data.root, 'package.json')),
        files: sourceFiles(repo, node.data.root),
        dependsOn: (graph.dependencies[node.name] ?? []).map((edge) => edge.target).filter((target) => target in graph.nodes),
      }));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

interface NxGraph {
  readonly graph: {
    readonly nodes: Readonly<Record<string, { name: string; data: { root: string; tags?: string[] } }>>;
    readonly dependencies: Readonly<Record<string, { target: string }[]>>;
  };
}

function declaredDependencies(packageFile: string): string[] {
  const json = JSON.parse(readFileSync(packageFile, 'utf8')) as Record<string, Record<string, string> | undefined>;
  return ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'].flatMap((field) => Object.keys(json[field] ?? {}));
}

function sourceFiles(repo: string, root: string): string[] {
  return readdirSync(join(repo, root), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(repo, join(entry.parentPath, entry.name)))
    .filter((file) => !/(^|\/)(node_modules|dist|gen)\//.test(file));
}
