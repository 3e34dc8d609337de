// A real, certified OpenID provider (the npm package `oidc-provider`) on a loopback port, for the integration tests.
//
//   node server.mjs '{"port": 0, "clients": [{"client_id": "…", "redirect_uris": […], …}], "par": true, …}'
//
// `slim` keeps everything but the subject out of ID tokens, `par` advertises pushed authorization requests, `dpop_nonces` demands a nonce in every DPoP proof.
// It prints `{"port":…,"issuer":…}` when it listens and ends when its standard input is closed. Everything under
// `/__test` is for the tests: clients can be added, calls counted, faults ordered, grants revoked, keys rotated.
// Calls are counted per client, so that one provider serves any number of tests at the same time.

import { createServer, request } from 'node:http';
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { once } from 'node:events';
import Provider, { errors } from 'oidc-provider';
import { Memory, clients, forgetGrants } from './memory.mjs';

const USERS = {
  ada: { sub: 'ada', name: 'Ada Lovelace', email: 'ada@example.test' },
  grace: { sub: 'grace', name: 'Grace Hopper', email: 'grace@example.test' },
};

const options = JSON.parse(process.argv[2] ?? '{}');
const faults = [];
const ledgers = new Map();
let keys = [newKey()];
let provider;

const server = createServer(answer);
server.keepAliveTimeout = 60_000;
server.listen(options.port ?? 0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address();
const issuer = `http://127.0.0.1:${port}`;
for (const client of options.clients ?? []) addClient(client);
provider = newProvider();
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
process.stdout.write(`${JSON.stringify({ port, issuer })}\n`);

async function answer(req, res) {
  const url = new URL(req.url, issuer);
  if (url.pathname.startsWith('/__test/')) return control(url.pathname.slice(8), await bodyOf(req), res);
  if (url.pathname.startsWith('/interaction/')) return interact(req, res).catch((error) => fail(res, error));
  const client = await whoAsks(req, url);
  const ledger = ledgerOf(client);
  ledger.calls[url.pathname] = (ledger.calls[url.pathname] ?? 0) + 1;
  (ledger.at[url.pathname] ??= []).push(Date.now());
  if (url.pathname === '/token/revocation') ledger.revoked.push(new URLSearchParams(req.body).get('token'));
  if (url.pathname === '/auth') ledger.authorizations.push(Object.fromEntries(url.searchParams));
  const fault = dueFault(url.pathname, client);
  if (fault?.delay_ms) await new Promise((done) => setTimeout(done, fault.delay_ms));
  if (fault?.drop) return res.destroy();
  if (fault?.status) {
    res.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers });
    return res.end(typeof fault.body === 'string' ? fault.body : JSON.stringify(fault.body ?? { error: 'server_error' }));
  }
  if (fault?.lose_answer) loseAnswer(res);
  if (fault?.late_ms) holdAnswer(res, fault.late_ms);
  return provider.callback()(req, res);
}

/** The work is done, the connection breaks before the answer: what a refresh must survive. */
function loseAnswer(res) {
  res.write = () => true;
  res.end = () => res.destroy();
}

/** The work is done at once, the answer comes late. */
function holdAnswer(res, late) {
  const end = res.end.bind(res);
  res.end = (...last) => setTimeout(() => end(...last), late);
}

function dueFault(path, client) {
  const fault = faults.find((one) => one.path === path && (one.client_id ?? client) === client && one.times !== 0);
  if (fault?.times > 0) fault.times -= 1;
  return fault;
}

/** The client a call belongs to, from the query, HTTP Basic, or the form. */
async function whoAsks(req, url) {
  if (req.method === 'POST') {
    req.body = await bodyOf(req);
    const basic = /^Basic (.+)$/.exec(req.headers.authorization ?? '');
    if (basic) return decodeURIComponent(Buffer.from(basic[1], 'base64').toString().split(':')[0]);
    return new URLSearchParams(req.body).get('client_id') ?? '';
  }
  return url.searchParams.get('client_id') ?? '';
}

async function bodyOf(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function ledgerOf(client) {
  if (!ledgers.has(client)) {
    ledgers.set(client, {
      calls: {}, at: {}, grants: {}, refused: 0, authorizations: [], issued: [], revoked: [], assertions: [],
    });
  }
  return ledgers.get(client);
}

/** The page a person sees: pick a user, or agree. */
async function interact(req, res) {
  const { uid, prompt, params, session } = await provider.interactionDetails(req, res);
  if (req.method === 'GET') {
    res.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
    return res.end(page(uid, prompt.name));
  }
  const form = new URLSearchParams(await bodyOf(req));
  if (form.has('cancel')) {
    return provider.interactionFinished(req, res, { error: 'access_denied', error_description: 'The user said no' });
  }
  const result = { ...(prompt.name === 'login' ? { login: { accountId: form.get('user') } } : {}) };
  const accountId = result.login?.accountId ?? session?.accountId;
  if (prompt.name === 'consent') result.consent = { grantId: await grantFor(accountId, params) };
  return provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
}

function page(uid, prompt) {
  const buttons = prompt === 'login'
    ? Object.values(USERS).map((user) => `<button name="user" value="${user.sub}">${user.name}</button>`).join('\n')
    : '<button name="agree" value="yes">Allow</button>';
  return `<!doctype html><meta charset="utf-8"><title>${prompt}</title>
<form method="post" action="/interaction/${uid}">
${buttons}
<button name="cancel" value="yes">Cancel</button>
</form>`;
}

async function grantFor(accountId, params) {
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  if (clients.get(params.client_id)?.test.jwt) grant.addResourceScope('urn:test:api', params.scope);
  for (const resource of [params.resource ?? []].flat()) grant.addResourceScope(resource, params.scope);
  return grant.save();
}

function newProvider() {
  const made = new Provider(issuer, {
    adapter: Memory,
    jwks: { keys },
    cookies: { keys: ['for the tests only'] },
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    assertJwtClientAuthClaimsAndHeader: strictAssertion,
    responseTypes: ['code'],
    scopes: ['openid', 'offline_access', 'profile', 'email', 'orders:write'],
    claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
    conformIdTokenClaims: options.slim === true,
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: (ctx, client, code) =>
      client.grantTypeAllowed('refresh_token') && (testOf(client).offline === 'always' || code.scopes.has('offline_access')),
    ttl: {
      AccessToken: (ctx, token, client) => testOf(client).access_ttl,
      AuthorizationCode: 60,
      Grant: 86_400,
      IdToken: 3600,
      Interaction: 600,
      RefreshToken: 86_400,
      Session: 86_400,
    },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (ctx, sub) => USERS[sub] && { accountId: sub, claims: () => USERS[sub] },
    // First-party clients: nobody is asked for consent unless the client itself sends `prompt=consent`.
    async loadExistingGrant(ctx) {
      const { client, session, params, result } = ctx.oidc;
      const id = result?.consent?.grantId ?? session.grantIdFor(client.clientId);
      const known = id && (await made.Grant.find(id));
      return known ?? made.Grant.find(await grantFor(session.accountId, params));
    },
    features: {
      devInteractions: { enabled: false },
      pushedAuthorizationRequests: { enabled: options.par === true },
      dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => options.dpop_nonces === true },
      jwtUserinfo: { enabled: true },
      backchannelLogout: { enabled: true },
      jwtResponseModes: { enabled: true },
      revocation: { enabled: true },
      introspection: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (ctx, client) => (testOf(client).jwt ? 'urn:test:api' : undefined),
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource, client) => ({
          scope: 'openid offline_access profile email orders:write',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: testOf(client).access_ttl,
        }),
      },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource(ctx, form) {
          ctx.body = `<!doctype html><title>logout</title>${form}
<button form="op.logoutForm" type="submit" name="logout" value="yes">Sign out</button>`;
        },
      },
    },
    // The package refuses back-channel calls to loopback; the tests live there.
    fetch: call,
    renderError(ctx, out) {
      ctx.type = 'json';
      ctx.body = out;
    },
  });
  made.use(async (ctx, next) => {
    await next();
    if (ctx.oidc?.route === 'token') record(ctx);
  });
  return made;
}

/** Stricter than the package: RFC 10070 wants the issuer as the one audience, as a string, and the type said. */
async function strictAssertion(ctx, claims, header, client) {
  const { assertion_aud: aud = issuer, assertion_typ: typ = 'client-authentication+jwt' } = testOf(client);
  const wrong = claims.aud !== aud || header.typ !== typ || claims.sub !== client.clientId || claims.exp - claims.iat > 60;
  if (wrong) throw new errors.InvalidClientAuth(`not a strict assertion: ${JSON.stringify({ claims, header })}`);
  ledgerOf(client.clientId).assertions.push({ path: ctx.path, jti: claims.jti });
}

function record(ctx) {
  const ledger = ledgerOf(ctx.oidc.client?.clientId ?? '');
  const kind = ctx.oidc.params?.grant_type ?? 'none';
  ledger.grants[kind] = (ledger.grants[kind] ?? 0) + 1;
  if (ctx.status !== 200) ledger.refused += 1;
  for (const name of ['access_token', 'refresh_token', 'id_token']) {
    if (ctx.body?.[name]) ledger.issued.push({ name, value: ctx.body[name] });
  }
  if (ctx.oidc.params?.code) ledger.issued.push({ name: 'code', value: ctx.oidc.params.code });
  if (ctx.oidc.params?.code_verifier) ledger.issued.push({ name: 'code_verifier', value: ctx.oidc.params.code_verifier });
}

/** A logout token on its way; nothing resolves *.localhost, and the built-in fetch sets the Host header itself. */
function call(url, { method, headers, body }) {
  const { host, hostname, pathname, port } = new URL(url);
  if (!hostname.endsWith('.localhost')) return globalThis.fetch(url, { method, headers, body, redirect: 'manual' });
  const target = { host: '127.0.0.1', port, path: pathname, method };
  return new Promise((done, failed) => {
    const sent = request({ ...target, headers: { ...Object.fromEntries(new Headers(headers)), host } }, (answer) => {
      answer.resume();
      done(new Response(null, { status: answer.statusCode }));
    });
    sent.on('error', failed);
    sent.end(body?.toString());
  });
}

/** A JWT that says anything, truly signed. */
function signed({ typ, claims }) {
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const message = `${encode({ alg: 'RS256', kid: keys[0].kid, typ })}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(message), createPrivateKey({ key: keys[0], format: 'jwk' }));
  return { token: `${message}.${signature.toString('base64url')}` };
}

function testOf(client) {
  return clients.get(client.clientId).test;
}

/** `public_key` is a PEM text, which becomes the client's one registered key. */
function addClient({ test, public_key: pem, ...metadata }) {
  if (pem) metadata.jwks = { keys: [{ ...createPublicKey(pem).export({ format: 'jwk' }), kid: 'k-1', use: 'sig' }] };
  clients.set(metadata.client_id, {
    metadata: { grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], ...metadata },
    test: { access_ttl: 3600, jwt: false, offline: 'always', ...test },
  });
}

function newKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' };
}

function control(what, body, res) {
  const order = body ? JSON.parse(body) : {};
  const orders = {
    client: () => addClient(order),
    ledger: () => ledgerOf(order.client_id ?? ''),
    fault: () => void faults.unshift({ times: -1, ...order }),
    heal: () => void faults.splice(0, faults.length, ...faults.filter((one) => one.client_id !== order.client_id)),
    sign: () => signed(order),
    'revoke-grants': () => forgetGrants(order.user),
    'rotate-keys': () => {
      keys = order.keep ? [newKey(), ...keys] : [newKey()];
      provider = newProvider();
    },
  };
  if (!orders[what]) return fail(res, new Error(`no such order: ${what}`));
  res.writeHead(200, { 'content-type': 'application/json' });
  return res.end(JSON.stringify(orders[what]() ?? {}));
}

function fail(res, error) {
  res.writeHead(500, { 'content-type': 'text/plain' });
  res.end(`${error.stack}\n`);
}
