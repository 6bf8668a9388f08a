import { parseSpiffeId } from '@meltemi/identity';
import { secretSet, type PushContext } from '@meltemi/pilot';
import { xdsType, type ResourceSet } from '@meltemi/xds';
import type { AdsConnection } from '@meltemi/xds-edge';
import type { Client, DiscoveryLog } from './discovery-types.ts';
import type { PilotStats } from './stats.ts';

/** Reasons written to the log for one answer; of more there is only the count. */
const maxLogged = 20;

/** Answers requests for secrets, and says once for each client and name why one is not given. */
export class SecretAnswers {
  readonly #log: DiscoveryLog;
  readonly #stats: PilotStats;
  /** Name → reason, by client. */
  readonly #told = new WeakMap<AdsConnection, ReadonlyMap<string, string>>();

  constructor({ log, stats }: { readonly log: DiscoveryLog; readonly stats: PilotStats }) {
    this.#log = log;
    this.#stats = stats;
  }

  /** What the client asks for and may have; undefined when it asks for none. `configuration` is what it runs, or is about to. */
  answer(client: Client, push: PushContext, configuration: Iterable<ResourceSet>): ResourceSet | undefined {
    const { proxy, connection } = client;
    const names = connection.subscriptions().get(xdsType.secret)?.names;
    if (!names || names.size === 0) return undefined;
    const id = parseSpiffeId(connection.hello.peer.identity ?? '');
    const { set, withheld } = secretSet(push, { proxy, namespace: id.ok ? id.value.namespace : undefined, names, configuration });
    const before = this.#told.get(connection);
    const news = withheld.filter(({ name, reason }) => before?.get(name) !== reason);
    for (const [index, { name, reason }] of news.entries()) {
      this.#stats.secretsWithheld.inc();
      if (index < maxLogged) this.#log.warn({ proxy: proxy.id, type: 'SDS', name, reason }, 'a secret that a proxy asks for is not given');
    }
    if (news.length > maxLogged) this.#log.warn({ proxy: proxy.id, type: 'SDS', more: news.length - maxLogged }, 'more secrets that a proxy asks for are not given');
    this.#told.set(connection, new Map(withheld.map(({ name, reason }) => [name, reason])));
    return set;
  }
}
