/** Loopback addresses of one mesh on one machine: 127.<net>.1.k for workloads (their sidecars listen there), 127.<net>.2.k for the applications behind them. */
export interface AddressPlan {
  /** The next workload: its own address and its application's. */
  next(): { readonly workload: string; readonly app: string };
  /** Control-plane programs share this one. */
  readonly control: string;
  /** Where proxies send reports: telemetry is a workload of the mesh, and no two of these have one address. */
  readonly telemetry: string;
}

/** `net` 1 to 254 sets meshes on one machine apart. 127.0.0.1 itself is never handed out. */
export function addressPlan(net: number): AddressPlan {
  let used = 0;
  return {
    control: `127.${net}.0.1`,
    telemetry: `127.${net}.0.2`,
    next() {
      used += 1;
      if (used > 250) throw new Error('a laptop mesh holds at most 250 workloads: run more of them on Kubernetes');
      return { workload: `127.${net}.1.${used}`, app: `127.${net}.2.${used}` };
    },
  };
}
