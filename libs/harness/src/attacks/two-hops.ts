import assert from 'node:assert/strict';
import { waitFor } from '@meltemi/base';
import { loadMesh, type ProxyQuestion } from '@meltemi/explain';
import type { StreamInfo } from '@meltemi/http';
import { TestAuthority } from '../conformance/certificates.ts';
import { WireProxy, type WireNeeds } from '../conformance/wire-proxy.ts';
import { Attacker } from './attacker.ts';
import { RawApplication } from './raw-application.ts';

/** Where an attacker stands: outside, or beside the application with a sidecar of its own. */
export type Entrance = 'gateway' | 'client' | 'sidecar';

export interface TwoHopsOptions {
  /** Serves in the application's place. */
  readonly behind?: { readonly port: number };
  readonly authority?: WireNeeds['authority'];
  /** The gateway's own word is looked at: no sidecar behind it. Default false. */
  readonly withoutSidecar?: boolean;
}

/** What may get to the application, as "METHOD target". */
export interface Passed {
  readonly passes: readonly string[];
  /** The one request of which the application may have seen a beginning. */
  readonly partly?: string;
}

const podIp = '10.1.1.1';

/** The objects of the mesh: one service behind a gateway that serves every host on port 8080. */
const objects = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: foo}
spec: {clusterIP: 10.96.4.1, selector: {app: web}, ports: [{name: http, port: 8080, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: foo, labels: {app: web, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: web, containers: [{name: app, image: app}]}
status: {phase: Running, podIP: ${podIp}, podIPs: [{ip: ${podIp}}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: foo}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: foo}
spec:
  hosts: ["*"]
  gateways: [gw]
  http: [{route: [{destination: {host: web.foo.svc.cluster.local, port: {number: 8080}}}]}]
---
`;

const question = (part: Partial<ProxyQuestion>): ProxyQuestion => ({ type: 'sidecar', namespace: 'foo', labels: {}, ip: '', ips: [], serviceAccount: 'default', metadata: {}, ...part });

/** Real proxies with the resources that pilot makes for them: an ingress gateway and a client's sidecar, both in front of the sidecar of one application. */
export class TwoHops {
  readonly application: RawApplication;
  readonly gateway: WireProxy;
  readonly client: WireProxy;
  readonly sidecar: WireProxy;

  private constructor(parts: Pick<TwoHops, 'application' | 'gateway' | 'client' | 'sidecar'>) {
    this.application = parts.application;
    this.gateway = parts.gateway;
    this.client = parts.client;
    this.sidecar = parts.sidecar;
  }

  /** `net`: three addresses 127.<net>.0.1 to 3 are taken. `more`: further objects. */
  static async start(net: number, more = '', { behind, authority = new TestAuthority(), withoutSidecar = false }: TwoHopsOptions = {}): Promise<TwoHops> {
    const mesh = loadMesh([{ name: 'mesh.yaml', text: objects + more }]);
    assert.deepEqual(mesh.setAside, []);
    const application = await RawApplication.start();
    const at = (number: number, upstream: { readonly port: number }) => ({ authority, upstream, authorizer: upstream, address: `127.${net}.0.${number}` });
    const sidecar = await WireProxy.start(mesh, question({ labels: { app: 'web' }, ip: podIp, serviceAccount: 'web' }), at(1, behind ?? application));
    const inbound = sidecar.enter('inbound', { ip: podIp, port: 8080 });
    const next = { port: inbound ?? 0, address: sidecar.address };
    const gateway = await WireProxy.start(mesh, question({ type: 'router', labels: { istio: 'ingressgateway' } }), { ...at(2, next), upstream: withoutSidecar ? application : next });
    const client = await WireProxy.start(mesh, question({ labels: { app: 'client' }, ip: '10.1.1.9' }), { ...at(3, next), upstream: next });
    return new TwoHops({ application, gateway, client, sidecar });
  }

  async stop(): Promise<void> {
    this.gateway.stop();
    this.client.stop();
    this.sidecar.stop();
    await this.application.stop();
  }

  proxy(entrance: Entrance): WireProxy {
    return this[entrance];
  }

  /** Where a client of this proxy connects. */
  entranceOf(entrance: Entrance, port = 8080): { readonly host: string; readonly port: number } {
    const proxy = this.proxy(entrance);
    const mode = ({ gateway: 'gateway', client: 'outbound', sidecar: 'inbound' } as const)[entrance];
    return { host: proxy.address, port: proxy.enter(mode, { ip: entrance === 'client' ? '10.96.4.1' : podIp, port }) ?? 0 };
  }

  /** A connection of the attacker's. */
  connect(entrance: Entrance): Promise<Attacker> {
    return Attacker.connect(this.entranceOf(entrance));
  }

  /** Forgets what was seen so far. */
  forget(): void {
    this.application.forget();
    for (const proxy of [this.gateway, this.client, this.sidecar]) proxy.forgetLog();
  }

  /** Requests that a proxy let pass, by its access log. What is no HTTP a workload's own sidecar carries as TCP, as in Istio; the next one decides. */
  decided(entrance: Entrance): StreamInfo[] {
    return this.proxy(entrance).logged.filter(({ upstreamHost, request }) => upstreamHost !== null && request !== null);
  }

  /**
   * A bystander asks, over whatever connections the attack left behind, and must get its own answer. Then the application has read exactly these requests
   * besides, also with a careless reader's eyes, and every one has an entry in the access logs of both proxies under its request id.
   */
  async assertOnly(entrance: Entrance, { passes, partly }: Passed, canary: string): Promise<void> {
    const bystander = await this.connect(entrance);
    bystander.send(`GET ${canary} HTTP/1.1\r\nhost: web.foo\r\n\r\n`);
    const answers = await bystander.responses(1);
    bystander.close();
    assert.equal(answers[0]?.body, canary, `a bystander got ${JSON.stringify(answers)}`);
    const text = ({ method, target }: { readonly method: string; readonly target: string }) => `${method} ${target}`;
    const { requests, requestIds: ids } = this.application;
    assert.deepEqual(requests.filter(({ complete }) => complete).map(text).toSorted(), [...passes, `GET ${canary}`].toSorted());
    assert.deepEqual(requests.filter(({ complete }) => !complete).map(text).filter((one) => one !== partly), [], 'the beginning of a request that nobody expected');
    assert.equal(ids.length, requests.length, 'a request without an id of ours');
    assert.equal(this.application.carelessCount, requests.length, 'a careless reader finds other requests');
    for (const hop of new Set<Entrance>([entrance, 'sidecar'])) {
      const logged = () => this.decided(hop).map(({ requestId }) => requestId ?? '');
      await waitFor(`${ids.length} entries in the log of ${hop}`, () => ids.every((id) => logged().includes(id)), { deadlineMs: 5000, everyMs: 2 });
      if (partly === undefined) assert.deepEqual(logged().toSorted(), ids.toSorted(), `the log of ${hop}`);
    }
  }
}
