import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import type { Server } from 'node:http';
import { details } from './details.ts';
import { escape } from './page.ts';
import { productpage } from './productpage.ts';
import { ratings } from './ratings.ts';
import { reviews } from './reviews.ts';
import { serve } from './serve.ts';
import { settingsFrom } from './settings.ts';

const local = { host: '127.0.0.1', port: 0 };
const servers: Server[] = [];
const url = async (handler: Parameters<typeof serve>[0]): Promise<string> => {
  const server = await serve(handler, local);
  servers.push(server);
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

let page = '';
let ratingsUp = true;
before(async () => {
  const rate = ratings();
  const settings = { ...settingsFrom({ SERVICE_VERSION: 'v2', POD_NAME: 'reviews-v2-test' }), details: await url(details), ratings: await url((request) => (ratingsUp ? rate(request) : { status: 503, type: 'text/plain', body: '' })) };
  page = await url(productpage({ ...settings, reviews: await url(reviews(settings)) }));
});
after(() => servers.forEach((server) => server.close()));

test('the page shows details, reviews and black stars', async () => {
  const reply = await fetch(`${page}/productpage`);
  const html = await reply.text();
  assert.equal(reply.status, 200);
  assert.match(html, /William Shakespeare/);
  assert.match(html, /Reviews served by: <code>reviews-v2-test/);
  assert.equal(html.match(/glyphicon-star"/g)?.length, 9);
});

test('ratings that fail leave the reviews standing with a note', async () => {
  ratingsUp = false;
  try {
    const html = await (await fetch(`${page}/productpage`)).text();
    assert.match(html, /Ratings service is currently unavailable/);
    assert.match(html, /Reviewer1/);
  } finally {
    ratingsUp = true;
  }
});

test('signing in as jason sets a session, and its calls carry end-user', async () => {
  const login = await fetch(`${page}/login`, { method: 'POST', body: new URLSearchParams({ username: 'jason', passwd: '' }), redirect: 'manual' });
  assert.equal(login.status, 302);
  const cookie = login.headers.get('set-cookie')?.split(';')[0] ?? '';
  let seen: string | undefined;
  const spy = await url((request) => {
    seen = request.headers['end-user'] as string | undefined;
    return { status: 200, type: 'application/json', body: '{"reviews":[]}' };
  });
  const other = await url(productpage({ ...settingsFrom({}), reviews: spy, details: spy, ratings: spy }));
  assert.match(await (await fetch(`${other}/productpage`, { headers: { cookie } })).text(), /Signed in as <b>jason/);
  assert.equal(seen, 'jason');
});

test('a login never redirects to another site', async () => {
  const login = await fetch(`${page}/login`, { method: 'POST', body: 'username=x', redirect: 'manual', headers: { referer: 'http://evil.example//evil.example/x', 'content-type': 'application/x-www-form-urlencoded' } });
  assert.equal(login.headers.get('location'), '/evil.example/x');
});

test('values from outside are escaped', () => {
  assert.equal(escape('<script>"&'), '&#60;script&#62;&#34;&#38;');
});

test('settings follow the environment of the well-known sample', () => {
  const settings = settingsFrom({ SERVICE_VERSION: 'v3', RATINGS_HOSTNAME: 'ratings-x', RATINGS_SERVICE_PORT: '81', SERVICES_DOMAIN: 'shop' }, ['9999']);
  assert.deepEqual([settings.starColor, settings.enableRatings, settings.ratings, settings.port], ['red', true, 'http://ratings-x.shop:81', 9999]);
});
