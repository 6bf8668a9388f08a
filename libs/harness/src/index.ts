export { LocalMesh, type LocalMeshOptions, type RunningWorkload } from './local-mesh.ts';
export { MeshProcess, type ProcessSpec } from './process.ts';
export { programCommand, imageProgram, repository, type ProgramName } from './programs.ts';
export { readDeployments, yamlFiles, type Deployment, type Container } from './manifests.ts';
export { addressPlan, type AddressPlan } from './addresses.ts';
export { createJoinToken } from './join-tokens.ts';
export { podObject, proxyIdentity, type Workload } from './workload.ts';
export { Traffic, get, type TrafficSpec, type TrafficReport, type TrafficAnswer, type GetOptions } from './traffic.ts';
export { meltemi, applyAndWait, type CliResult } from './cli.ts';
