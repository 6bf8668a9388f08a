import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chromium, type Browser, type Page } from 'playwright-core';
import { BookinfoMesh } from './bookinfo-mesh.ts';

const executablePath = '/usr/bin/chromium';

describe('a visitor with a browser', () => {
  let book: BookinfoMesh;
  let browser: Browser;
  let page: Page;
  const pictures = mkdtempSync(join(tmpdir(), 'meltemi-e2e-pictures-'));
  const problems: string[] = [];
  before(async () => {
    assert.ok(existsSync(executablePath), `no ${executablePath}: apt-get install chromium`);
    book = await BookinfoMesh.start(85);
    await book.apply('virtual-service-all-v1');
    await book.apply('virtual-service-reviews-test-v2');
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-proxy-server'] });
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.on('console', (message) => { if (message.type() === 'error') problems.push(message.text()); });
    page.on('pageerror', (error) => problems.push(error.message));
  });
  after(async () => {
    await browser?.close();
    await book?.stop();
    if (process.env['MELTEMI_E2E_KEEP'] === undefined) rmSync(pictures, { recursive: true, force: true });
    else console.error(`kept: ${pictures}`);
  });

  async function picture(name: string): Promise<void> {
    const path = join(pictures, `${name}.png`);
    await page.screenshot({ path, fullPage: true });
    assert.ok(statSync(path).size > 20_000, `${path} has ${statSync(path).size} bytes`);
  }

  test('sees the book, its details and its reviews, without stars', async () => {
    const response = await page.goto(book.url());
    assert.equal(response?.status(), 200);
    assert.equal(await page.locator('h1').innerText(), 'The Comedy of Errors');
    assert.match(await page.locator('#details').innerText(), /William Shakespeare/);
    assert.equal(await page.locator('#reviews blockquote').count(), 2);
    assert.equal(await page.locator('.stars').count(), 0);
    await picture('visitor');
  });

  test('signs in as jason and sees black stars', async () => {
    await page.fill('input[name=username]', 'jason');
    await page.click('button');
    await page.waitForURL(book.url());
    assert.match(await page.locator('header').innerText(), /Signed in as\s+jason/);
    assert.equal(await page.locator('.stars.black').count(), 2);
    const stars = await page.locator('.stars.black').first().innerText();
    assert.equal(stars.replace(/\s/g, ''), '★★★★★');
    assert.equal(await page.evaluate("getComputedStyle(document.querySelector('.stars')).color"), 'rgb(23, 38, 60)');
    await picture('jason');
  });

  test('on a narrow screen nothing is cut off', async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    assert.equal(await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth'), 0);
    await picture('narrow');
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  test('with ratings failing for jason, the page says so in words', async () => {
    await book.apply('virtual-service-ratings-test-abort');
    await page.reload();
    assert.match(await page.locator('#reviews').innerText(), /Ratings service is currently unavailable/);
    await picture('abort');
  });

  test('signs out, and is anybody again', async () => {
    await page.click('text=sign out');
    await page.waitForURL(book.url());
    assert.equal(await page.locator('input[name=username]').count(), 1);
    assert.equal(await page.locator('.stars').count(), 0);
  });

  test('the browser had nothing to complain of', () => {
    assert.deepEqual(problems, []);
  });
});
