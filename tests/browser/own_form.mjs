// A person at the demo page of a site whose API logs people in by itself: the page's own form, with a wrong password,
// with none, and with the right one.
//
//   node own_form.mjs '{"site": "http://one.localhost:8080", "artefacts": "/tmp/own-form"}'
//
// Prints one JSON object: `{"ok", "error", "steps", "answers"}`, and leaves pictures.

import { mkdirSync } from 'node:fs';

import { chromium } from 'playwright-core';

import { equal, stepsOf } from './steps.mjs';

const { site, artefacts, executable = '/usr/bin/chromium' } = JSON.parse(process.argv[2]);
const report = { ok: false, error: null, steps: [], answers: [] };
const step = stepsOf(report);
mkdirSync(artefacts, { recursive: true });

const browser = await chromium.launch({
  executablePath: executable,
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const context = await browser.newContext({ viewport: { width: 1100, height: 760 } });
context.setDefaultTimeout(10_000);
context.on('response', async (answer) => {
  const { pathname } = new URL(answer.url());
  if (!/^\/(bff|api)\//.test(pathname)) return;
  report.answers.push(`${answer.status()} ${pathname} ${await answer.text().catch(() => '')}`);
});
const faults = [];
context.on('weberror', (error) => faults.push(error.error().message));

try {
  const page = await context.newPage();
  const at = (name) => page.getByTestId(name);
  await step('the login leads to the form', async () => {
    await page.goto(`${site}/somewhere?x=1`);
    await at('sign-in').click();
    await page.waitForURL(`${site}/login?return_to=%2Fsomewhere%3Fx%3D1`);
    await at('log-in').waitFor();
    await picture('form', page);
  });
  await step('a wrong password gets the word of the API', async () => {
    await page.getByLabel('Password').fill('wrong');
    await at('log-in-now').click();
    await page.waitForFunction(() => document.getElementById('wrong').textContent);
    equal(await at('wrong').textContent(), 'Unauthorized');
  });
  await step('what is missing is said beside its field', async () => {
    await page.getByLabel('Password').fill('');
    await page.getByLabel('E-mail').fill('');
    await page.getByLabel('E-mail').press('Enter');
    await page.waitForFunction(() => document.getElementById('wrong-email').textContent);
    equal(await at('wrong-email').textContent(), 'The email field is required.');
    equal(await at('wrong-password').textContent(), 'The password field is required.');
    equal(await at('wrong').textContent(), '');
    await picture('refused', page);
  });
  await step('the right one logs in, back where it began', async () => {
    await page.getByLabel('E-mail').fill('grace@people.example');
    await page.getByLabel('Password').fill('password');
    await at('log-in-now').click();
    await at('signed-in').waitFor();
    equal(page.url(), `${site}/somewhere?x=1`);
    equal(await at('user-name').textContent(), 'Grace Hopper');
    await page.waitForFunction(() => document.getElementById('api-status').textContent === '200');
    await picture('signed-in', page);
  });
  await step('no script finds a token', async () => {
    const found = await page.evaluate(() => document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage));
    equal(found, '{}{}');
  });
  await step('a logout ends it', async () => {
    await at('sign-out').click();
    await at('signed-out').waitFor();
  });
  await step('no query leads off the site', async () => {
    for (const target of ['//evil.example/', 'https://evil.example', '/\\evil.example', 'http://[']) {
      await page.goto(`${site}/login?return_to=${encodeURIComponent(target)}`);
      await at('log-in-now').click();
      await at('signed-in').waitFor();
      equal(page.url(), `${site}/`);
      await at('sign-out').click();
      await at('signed-out').waitFor();
    }
  });
  equal(faults.join('; '), '');
  report.ok = true;
} catch (error) {
  report.error = error.message;
}
await browser.close();
console.log(JSON.stringify(report));

async function picture(name, page) {
  await page.screenshot({ path: `${artefacts}/${name}.png`, fullPage: true });
}
