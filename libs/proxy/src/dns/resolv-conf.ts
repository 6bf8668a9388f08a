import { isIP } from 'node:net';

/** What /etc/resolv.conf says of servers and search domains. */
export interface ResolvConf {
  readonly servers: readonly string[];
  readonly search: readonly string[];
}

/** More servers than any resolver asks. */
const maxServers = 8;

/** Reads resolv.conf(5): the last `search` or `domain` line counts; what is no address is no server. */
export function parseResolvConf(text: string): ResolvConf {
  const servers: string[] = [];
  let search: readonly string[] = [];
  for (const line of text.split('\n')) {
    const [word = '', ...values] = line.replace(/[#;].*$/, '').trim().split(/\s+/);
    const [first = ''] = values;
    if (word === 'nameserver' && isIP(first) !== 0 && servers.length < maxServers && !servers.includes(first)) servers.push(first);
    if (word === 'search') search = values;
    if (word === 'domain' && first !== '') search = [first];
  }
  return { servers, search };
}
