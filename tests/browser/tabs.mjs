// What the helper of `/bff/client.js` does for two tabs of one browser.
//
//   node tabs.mjs '{"site": "http://one.localhost:8080", "user": "ada"}'
//
// Prints one JSON object: `{"ok", "error", "steps"}`.

import { chromium } from 'playwright-core';

import { equal, stepsOf } from './steps.mjs';

const { site, user, executable = '/usr/bin/chromium' } = JSON.parse(process.argv[2]);
const report = { ok: false, error: null, steps: [] };
const step = stepsOf(report);
let streams = 0;
let apiHeaders = {};

const browser = await chromium.launch({
  executablePath: executable,
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const context = await browser.newContext();
context.setDefaultTimeout(10_000);
context.on('request', (request) => {
  const { pathname } = new URL(request.url());
  if (pathname === '/bff/events') streams += 1;
  if (pathname.startsWith('/api')) apiHeaders = request.headers();
});
const faults = [];
context.on('weberror', (error) => faults.push(error.error().message));

try {
  const one = await tab();
  await step('a page without a session hears nothing and is not asked to', async () => {
    await one.waitForTimeout(500);
    equal((await one.evaluate(() => client.session())).authenticated, false);
    equal(streams, 1);
  });
  await step('login comes back to where it began', async () => {
    await one.evaluate(() => void client.login('/deep?link=1#here'));
    await one.click(`button[name=user][value=${user}]`);
    await one.waitForURL(`${site}/deep?link=1#here`);
    await heard(one, 'session');
  });
  const two = await tab();
  await step('a second tab learns from the first one\'s stream', async () => {
    await two.evaluate(() => client.session());
    const before = streams;
    await one.evaluate(() => void changes.splice(0));
    await two.evaluate(() => void changes.splice(0));
    await one.evaluate(() => client.extend());
    await heard(one, 'session');
    await heard(two, 'session');
    equal(streams, before);
    equal(streams, 2);
  });
  await step('calls say where they come from and for whom', async () => {
    equal(await two.evaluate(async () => (await client.fetch('/api/x', { method: 'POST', body: 'x' })).status), 200);
    equal(apiHeaders['x-bff'], '1');
    equal(apiHeaders['x-bff-pin'], await two.evaluate(async () => (await client.session()).pin));
  });
  await step('the next tab takes over when the first one goes', async () => {
    await one.close();
    await two.waitForFunction(() => true);
    for (let tries = 0; streams < 3 && tries < 100; tries += 1) await two.waitForTimeout(50);
    equal(streams, 3);
  });
  const three = await tab();
  await step('a logout in one tab is an end in the other', async () => {
    await three.evaluate(() => client.session());
    await two.evaluate(() => void changes.splice(0));
    await three.evaluate(() => void client.logout());
    const ended = await heard(two, 'ended');
    equal(ended.reason, 'revoked');
    equal((await two.evaluate(() => client.session())).authenticated, false);
  });
  equal(JSON.stringify(faults), '[]');
  report.ok = true;
} catch (error) {
  report.error = error.message;
} finally {
  await browser.close();
  process.stdout.write(`${JSON.stringify({ ...report, streams })}\n`);
}

async function tab() {
  const page = await context.newPage();
  await page.goto(site);
  await page.waitForSelector('[data-ready=yes]', { state: 'attached' });
  return page;
}

async function heard(page, type) {
  const found = await page.waitForFunction((wanted) => window.changes?.find((change) => change.type === wanted), type);
  return found.jsonValue();
}
