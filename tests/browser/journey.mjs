// What a person does at two sites with one browser, and what a curious script could find out meanwhile.
//
//   node journey.mjs '{"one": "http://one.localhost:8080", "two": "http://two.localhost:8080", "user": "ada", "artefacts": "DIR"}'
//
// Prints one JSON object: `{"ok", "error", "steps", "findings", "cookies", "scanned"}`. Screenshots and everything the
// gateway sent (`seen.txt`) go to DIR.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const { one, two, user, artefacts, executable = '/usr/bin/chromium' } = JSON.parse(process.argv[2]);
const origins = [one, two];
const TOKENS = [
  ['a JWT', /eyJ[\w-]{8,}\.eyJ[\w-]{8,}/],
  ['an access token', /["']?access_token["']?\s*[:=]\s*["']?[\w-]{8,}/],
  ['a refresh token', /["']?refresh_token["']?\s*[:=]\s*["']?[\w-]{8,}/],
  ['a bearer', /bearer [\w-]{16,}/i],
];

const report = { ok: false, error: null, steps: [], findings: [], cookies: [], scanned: 0 };
const seen = [];
const reading = [];
mkdirSync(artefacts, { recursive: true });

const browser = await chromium.launch({
  executablePath: executable,
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const context = await browser.newContext();
context.setDefaultTimeout(15_000);
context.on('response', (response) => reading.push(read(response)));
const page = await context.newPage();
page.on('pageerror', (error) => find(page.url(), `a script failed: ${error.message}`));
page.on('console', (message) => look(`the console of ${page.url()}`, message.text()));

try {
  await step('one-signed-out', () => page.goto(one).then(() => page.waitForSelector('#sign-in')));
  await step('one-provider', async () => {
    await page.click('#sign-in');
    await page.waitForSelector(`button[name=user][value=${user}]`);
    if (origins.includes(new URL(page.url()).origin)) throw new Error(`the login page is the gateway's own: ${page.url()}`);
  });
  await step('one-signed-in', async () => {
    await page.click(`button[name=user][value=${user}]`);
    await signedIn(one);
  });
  await step('one-api', () => callApi());
  await step('one-extend', async () => {
    await filled('#idle-remaining');
    await filled('#absolute-remaining');
    await page.click('#extend');
    await filled('#idle-remaining');
  });
  await step('one-reloaded', async () => {
    await page.reload();
    await signedIn(one);
    await callApi();
  });
  await secretsOfScripts(one);
  await step('two-single-sign-on', async () => {
    await page.click('#other-site');
    await page.waitForURL((url) => url.origin === two);
    await page.waitForSelector('#sign-in');
    await page.click('#sign-in');
    await signedIn(two);
  });
  await step('two-api', () => callApi());
  await secretsOfScripts(two);
  await step('both-have-their-own-cookie', async () => {
    report.cookies = (await context.cookies(origins)).filter((cookie) => cookie.name.includes('cloakroom'));
    if (report.cookies.length !== 2) throw new Error(`expected two cookies: ${JSON.stringify(report.cookies.map((cookie) => cookie.name))}`);
  });
  await step('two-signed-out', () => signOut(two));
  await step('one-still-signed-in', async () => {
    await page.goto(one);
    await signedIn(one);
    await callApi();
  });
  await step('one-signed-out-again', () => signOut(one));
  await step('one-asks-again', async () => {
    await page.click('#sign-in');
    await page.waitForSelector(`button[name=user][value=${user}]`);
  });
  await Promise.all(reading);
  report.ok = report.findings.length === 0;
  report.error = report.ok ? null : 'tokens or faults were found';
} catch (error) {
  report.error = `${error.message}\nat ${page.url()}\n${await page.content().catch(() => '')}`.slice(0, 4000);
  await page.screenshot({ path: join(artefacts, 'failure.png') }).catch(() => {});
} finally {
  await browser.close();
  writeFileSync(join(artefacts, 'seen.txt'), seen.join('\n\n'));
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

async function step(name, act) {
  try {
    await act();
  } catch (error) {
    throw new Error(`${name}: ${error.message}`);
  }
  report.steps.push(name);
  const number = String(report.steps.length).padStart(2, '0');
  await page.screenshot({ path: join(artefacts, `${number}-${name}.png`), fullPage: true });
}

async function signedIn(origin) {
  await page.waitForURL((url) => url.origin === origin && !url.pathname.startsWith('/bff'));
  await filled('#user-name');
}

async function filled(selector) {
  await page.waitForFunction((wanted) => document.querySelector(wanted)?.textContent.trim(), selector);
}

async function callApi() {
  const before = await page.textContent('#api-result');
  const [answer] = await Promise.all([
    page.waitForResponse((response) => new URL(response.url()).pathname.startsWith('/api')),
    page.click('#call-api'),
  ]);
  if (answer.status() !== 200) throw new Error(`the API answered ${answer.status()}`);
  await page.waitForFunction(
    (old) => { const now = document.querySelector('#api-result').textContent.trim(); return now && (now !== old.trim() || old.trim()); },
    before ?? '',
  );
}

/** Out of the session here, and, where the provider asks, out of its own. */
async function signOut(origin) {
  await page.click('#sign-out');
  const confirm = page.locator('button[name=logout]');
  const back = page.locator('#sign-in');
  await confirm.or(back).first().waitFor();
  if (await confirm.count()) await confirm.click();
  await page.waitForURL((url) => url.origin === origin);
  await back.waitFor();
}

/** Everything that a script in the page can get at. */
async function secretsOfScripts(origin) {
  const shown = await page.evaluate(async () => ({
    cookie: document.cookie,
    local: { ...localStorage },
    session: { ...sessionStorage },
    databases: await indexedDB.databases(),
    caches: 'caches' in window ? await caches.keys() : [],
    workers: 'serviceWorker' in navigator ? (await navigator.serviceWorker.getRegistrations()).length : 0,
    html: document.documentElement.outerHTML,
    name: window.name,
  }));
  if (shown.cookie !== '') find(origin, `document.cookie is ${shown.cookie}`);
  if (shown.databases.length) find(origin, `indexedDB holds ${JSON.stringify(shown.databases)}`);
  look(`what scripts see at ${origin}`, JSON.stringify(shown));
  seen.push(`# what scripts see at ${origin}\n${JSON.stringify(shown)}`);
}

async function read(response) {
  const url = new URL(response.url());
  if (!origins.includes(url.origin)) return;
  const headers = (await response.headersArray()).map(({ name, value }) => `${name}: ${value}`).join('\n');
  const redirect = response.status() >= 300 && response.status() < 400;
  const body = redirect ? '' : await response.text().catch(() => '');
  report.scanned += 1;
  seen.push(`# ${response.status()} ${url}\n${headers}\n\n${body}`);
  look(`${url.origin}${url.pathname}`, `${headers}\n${body}`);
}

/** An ID token may stand in the provider's own logout URL as `id_token_hint`, and nowhere else. */
function look(where, text) {
  const rest = text.replace(/id_token_hint=[\w.-]+/g, 'id_token_hint=…');
  for (const [what, pattern] of TOKENS) {
    if (pattern.test(rest)) find(where, `${what} is visible: ${rest.match(pattern)[0].slice(0, 60)}`);
  }
}

function find(where, what) {
  report.findings.push({ where, what });
}
