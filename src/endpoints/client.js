// The browser's side of the gateway: who is logged in, calls that say where they come from, and one event stream for all
// tabs of a browser. It has no dependencies and keeps nothing; types are JSDoc, which editors and TypeScript read.
//
//   import { createSession } from '/bff/client.js';
//   const session = createSession();
//   session.onChange(({ type, session }) => render(session));

/**
 * What a page may know of its session; times in seconds, from when it was asked for.
 * @typedef {object} Session
 * @property {boolean} authenticated
 * @property {Record<string, unknown>} [user] The configured claims.
 * @property {string} [provider]
 * @property {string} [pin] Tells this user from another.
 * @property {number} [idle_expires_in] Until the session ends without further activity.
 * @property {number} [absolute_expires_in] Until it ends in any case.
 * @property {string} [reason] Why there is none.
 * @property {Record<string, unknown>} [answer] What the API wants next; of the reason `step` alone.
 * @property {string} login_url
 * @property {string} [logout_url]
 */

/**
 * What happened. `session`: somebody is logged in, or the times are new. `expiring`: the session ends in `expiresIn`
 * seconds; `extend()` helps if `reason` is `idle`. `ended`: nobody is logged in any more, and `reason` says why.
 * `identity_changed`: another user is logged in than this page was made for; reload it.
 * @typedef {object} Change
 * @property {'session' | 'expiring' | 'ended' | 'identity_changed'} type
 * @property {Session} session
 * @property {string} [reason]
 * @property {number} [expiresIn]
 */

/** @typedef {ReturnType<typeof createSession>} SessionClient */

/** How long to wait before a stream that was refused is asked for again, in milliseconds. */
const RETRY = 5000;

/**
 * Starts to listen; `close()` ends that.
 * @param {{ basePath?: string }} [options] `basePath` is where the gateway's endpoints are, by default where this file is.
 */
export function createSession({ basePath = new URL('.', import.meta.url).pathname.slice(0, -1) } = {}) {
  const name = `cloakroom:${basePath}`;
  const tabs = new BroadcastChannel(name);
  const over = new AbortController();
  /** @type {Set<(change: Change) => void>} */
  const listeners = new Set();
  /** @type {Session} */
  let known = { authenticated: false, login_url: `${basePath}/login` };
  /** The user that this page was made for. @type {string | undefined} */
  let pin;
  /** Opens the stream; only in the tab that holds it. @type {(() => void) | undefined} */
  let reopen;

  /** @param {Change} change */
  function tell(change) {
    for (const listener of listeners) {
      try {
        listener(change);
      } catch (error) {
        reportError(error);
      }
    }
  }

  /** Takes in what the gateway said, and tells what is new. @param {Session} session */
  function learn(session) {
    const was = known;
    known = session;
    if (session.authenticated) {
      pin ??= session.pin;
      if (session.pin === pin) tell({ type: 'session', session });
      else if (session.pin !== was.pin) tell({ type: 'identity_changed', session });
    } else if (was.authenticated) {
      tell({ type: 'ended', session, reason: session.reason });
    }
    return session;
  }

  /** What this tab has found out, the others learn as well. @param {Session} session */
  function share(session) {
    tabs.postMessage({ type: 'session', session });
    if (session.authenticated) reopen?.();
    return learn(session);
  }

  /** @param {string} path @param {RequestInit} [init] */
  function ask(path, init) {
    return fetch(`${basePath}${path}`, { ...init, headers: { 'X-BFF': '1' } });
  }

  /** @param {Response} answer */
  async function body(answer) {
    if (!answer.ok) throw Object.assign(new Error(`${answer.url} answered ${answer.status}`), { response: answer });
    return answer.json();
  }

  /** Who is logged in. @returns {Promise<Session>} */
  async function session() {
    return share(await body(await ask('/session')));
  }

  /** @param {{ type: string, session?: Session, reason?: string, expires_in?: number }} message */
  function hear({ type, session, reason, expires_in }) {
    if (session) {
      learn(session);
      if (session.authenticated) reopen?.();
    } else if (type === 'expiring') {
      tell({ type, session: known, reason, expiresIn: expires_in });
    } else {
      learn({ authenticated: false, reason, login_url: known.login_url });
    }
  }

  /** Holds the stream until this tab goes; the next tab in line then opens its own. */
  function lead() {
    /** @type {EventSource | undefined} */
    let stream;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let waiting;
    const open = () => {
      if (stream && stream.readyState !== EventSource.CLOSED) return;
      clearTimeout(waiting);
      stream = new EventSource(`${basePath}/events`);
      // Who it is now, the tabs learn from the session.
      stream.addEventListener('identity_changed', () => session().catch(() => {}));
      for (const type of ['session', 'expiring', 'ended']) {
        stream.addEventListener(type, ({ data }) => {
          const said = JSON.parse(data);
          const message = type === 'session' ? { type, session: said } : { ...said, type };
          tabs.postMessage(message);
          hear(message);
        });
      }
      stream.onerror = () => {
        // A stream that breaks comes back by itself; one that was refused does not.
        if (stream?.readyState === EventSource.CLOSED && !over.signal.aborted) refused();
      };
    };
    const refused = async () => {
      try {
        const answer = await ask('/session');
        // Without a session there is nothing to hear, until some tab finds a new one.
        if (answer.ok && !(share(await answer.json())).authenticated) return;
      } catch {
        // Offline, perhaps.
      }
      waiting = setTimeout(open, RETRY * (1 + Math.random()));
    };
    reopen = open;
    open();
    return new Promise((done) => {
      over.signal.addEventListener('abort', () => {
        reopen = undefined;
        clearTimeout(waiting);
        stream?.close();
        done(undefined);
      });
    });
  }

  tabs.onmessage = ({ data }) => hear(data);
  // Locks are there in secure contexts only; elsewhere each tab has its own stream.
  if (navigator.locks) {
    navigator.locks.request(name, { signal: over.signal }, lead).catch(() => {});
  } else {
    lead();
  }

  return {
    session,

    /**
     * Calls an API. Calls of this origin say so, and for which user the page was made: another's session refuses them.
     * @param {RequestInfo | URL} input @param {RequestInit} [init] @returns {Promise<Response>}
     */
    async fetch(input, init) {
      const request = new Request(input, init);
      if (new URL(request.url).origin !== location.origin) return fetch(request);
      request.headers.set('X-BFF', '1');
      if (pin) request.headers.set('X-BFF-Pin', pin);
      const answer = await fetch(request);
      const reason = answer.headers.get('X-BFF-Reason');
      if (answer.status === 401 && reason) {
        share({ authenticated: false, reason, login_url: known.login_url });
      } else if (answer.status === 409 && reason === 'identity_changed') {
        session().catch(() => {});
      }
      return answer;
    },

    /** Leaves the page to log in. @param {string} [returnTo] A path of this site. */
    login(returnTo = location.pathname + location.search + location.hash) {
      const url = new URL(known.login_url, location.origin);
      url.searchParams.set('return_to', returnTo);
      location.assign(url);
    },

    /**
     * Logs in with what the page's own form holds, where the provider has no login page. Throws with the `response` that
     * says what is wrong with it: a `status` and JSON of the API's, such as Laravel's `errors`, or the gateway's refusal
     * with its `X-BFF-Reason`. Where the API wants a second step, such as a code, the `reason` is `step`, `answer` says
     * what it wants, and nothing has changed yet: call this again with that, and with the answer's `login_url` as `step`.
     * @param {Record<string, unknown>} credentials @param {{ provider?: string, step?: string }} [options]
     * @returns {Promise<Session>}
     */
    async loginWith(credentials, { provider, step } = {}) {
      const query = provider ? `?provider=${encodeURIComponent(provider)}` : '';
      const headers = { 'Content-Type': 'application/json', 'X-BFF': '1' };
      const init = { method: 'POST', headers, body: JSON.stringify(credentials) };
      const said = await body(await fetch(step ?? `${basePath}/login${query}`, init));
      // It says nothing of the session, which may well be live.
      return said.reason === 'step' ? said : share(said);
    },

    /**
     * Ends the session, here and then at the provider.
     * @param {{ everywhere?: boolean, returnTo?: string }} [options] `everywhere` ends all of the user's sessions at this site.
     */
    async logout({ everywhere = false, returnTo = '/' } = {}) {
      const query = new URLSearchParams({ everywhere: String(everywhere), return_to: returnTo });
      const { logout_url } = await body(await ask(`/logout?${query}`, { method: 'POST' }));
      share({ authenticated: false, reason: 'revoked', login_url: known.login_url });
      location.assign(logout_url ?? returnTo);
    },

    /** Counts as activity. @returns {Promise<Session>} */
    async extend() {
      return share(await body(await ask('/session/extend', { method: 'POST' })));
    },

    /** Hears of every change, in any tab. @param {(change: Change) => void} listener @returns {() => void} Stops that. */
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    /** Stops to listen. */
    close() {
      over.abort();
      tabs.close();
    },
  };
}
