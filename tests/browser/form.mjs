// What the helper of `/bff/client.js` does for a page whose own form logs in; where there is a `code`, in two steps.
//
//   node form.mjs '{"site": "http://one.localhost:8080", "email": "ada@example.com", "password": "…"}'
//
// Prints one JSON object: `{"ok", "error", "steps", "answers"}`.

import { chromium } from 'playwright-core';

import { equal, stepsOf } from './steps.mjs';

const { site, email, password, code, executable = '/usr/bin/chromium' } = JSON.parse(process.argv[2]);
const report = { ok: false, error: null, steps: [], answers: [] };
const step = stepsOf(report);

const browser = await chromium.launch({
  executablePath: executable,
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const context = await browser.newContext();
context.setDefaultTimeout(10_000);
context.on('response', async (answer) => {
  const { pathname } = new URL(answer.url());
  if (pathname === '/bff/events' || pathname.endsWith('.js')) return;
  report.answers.push(`${answer.status()} ${pathname} ${await answer.text().catch(() => '')}`);
});
const faults = [];
context.on('weberror', (error) => faults.push(error.error().message));

try {
  await (code ? withACode : withAPassword)(await tab(), await tab());
  equal(JSON.stringify(faults), '[]');
  report.ok = true;
} catch (error) {
  report.error = error.message;
} finally {
  await browser.close();
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

async function withAPassword(one, two) {
  await step('a wrong password is the form\'s to show', async () => {
    const said = await one.evaluate(async (credentials) => {
      try {
        await client.loginWith(credentials);
      } catch (error) {
        return { status: error.response.status, body: await error.response.json() };
      }
    }, { email, password: 'wrong' });
    equal(JSON.stringify(said), JSON.stringify({ status: 401, body: { error: 'Unauthorized' } }));
    equal((await one.evaluate(() => client.session())).authenticated, false);
  });
  await step('the right one logs in, and the other tab hears of it', async () => {
    const session = await one.evaluate((credentials) => client.loginWith(credentials), { email, password });
    equal(session.user.email, email);
    await heard(one, 'session');
    await heard(two, 'session');
    equal(await two.evaluate(async () => (await client.fetch('/api/orders')).status), 200);
  });
  await step('no script finds a token', async () => {
    const found = await one.evaluate(() => document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage));
    equal(found, '{}{}');
  });
  await step('a logout ends it in both', async () => {
    await two.evaluate(() => void changes.splice(0));
    await one.evaluate(() => void client.logout());
    equal((await heard(two, 'ended')).reason, 'revoked');
  });
  await step('the login of a visitor leads to the page with the form', async () => {
    await two.evaluate(() => void client.login('/orders?page=2'));
    await two.waitForURL(`${site}/login?return_to=%2Forders%3Fpage%3D2`);
  });
}

async function withACode(one, two) {
  const begin = () => one.evaluate((credentials) => client.loginWith(credentials), { email, password });
  const finish = (step) => one.evaluate(([code, step]) => client.loginWith({ code }, { step }), [code, step]);
  await step('the code after the password logs in, and the other tab hears of it', async () => {
    const wanted = await begin();
    equal(JSON.stringify([wanted.authenticated, wanted.reason, wanted.answer]), '[false,"step",{"to":"a***@example.com","two_factor":true}]');
    equal((await finish(wanted.login_url)).user.email, email);
    await heard(one, 'session');
    await heard(two, 'session');
  });
  await step('a first step beside a live session ends it for nobody', async () => {
    for (const page of [one, two]) await page.evaluate(() => void changes.splice(0));
    equal((await begin()).reason, 'step');
    equal((await two.evaluate(() => client.session())).authenticated, true);
    // Both have heard of the session by then, and of nothing else before it.
    for (const page of [one, two]) {
      await heard(page, 'session');
      equal(await page.evaluate(() => changes.some(({ type }) => type !== 'session')), false);
    }
  });
  await step('the login still leads to the page with the form', async () => {
    await begin();
    await one.evaluate(() => void client.login('/orders?page=2'));
    await one.waitForURL(`${site}/login?return_to=%2Forders%3Fpage%3D2`);
  });
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
