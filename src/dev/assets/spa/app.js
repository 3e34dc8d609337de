// The demo page. It holds no token: it asks the gateway who is signed in, and calls /api like any same-origin URL.

const $ = (id) => document.getElementById(id);
const OTHER = { one: "two", two: "one" };
const CSRF = { "X-BFF": "1" };
/** Where this page's own form is: the `login_page` of sites whose API logs people in by itself. */
const FORM = "/login";

/** The last answer of /bff/session. */
let session = { authenticated: false };
/** Moments on the monotonic clock, and the whole span each bar stands for. */
const clocks = {
  idle: { ends: null, span: 0 },
  absolute: { ends: null, span: 0 },
  token: { ends: null, span: 0 },
};

// --- which site ---------------------------------------------------------------------------------------------------

function dressUp() {
  const site = location.hostname.startsWith("two.") ? "two" : "one";
  document.documentElement.dataset.site = site;
  $("site-name").textContent = site;
  const other = $("other-site");
  other.textContent = `Site ${OTHER[site]}`;
  other.href = location.origin.replace(`//${site}.`, `//${OTHER[site]}.`) + "/";
}

// --- the session --------------------------------------------------------------------------------------------------

async function loadSession() {
  try {
    const answer = await fetch("/bff/session", { cache: "no-store", headers: { accept: "application/json" } });
    if (answer.ok) return show(await answer.json());
    await explain(answer);
  } catch {
    notice("The gateway does not answer. Is cloakroom dev still running?");
  }
  if (document.documentElement.dataset.state === "loading") show(session);
}

function show(now) {
  const before = session;
  session = now;
  document.documentElement.dataset.state = now.authenticated ? "signed-in" : "signed-out";
  $("signed-in").hidden = !now.authenticated;
  if (now.authenticated && location.pathname === FORM) history.replaceState(null, "", returnTo());
  const atForm = !now.authenticated && location.pathname === FORM;
  $("log-in").hidden = !atForm;
  $("signed-out").hidden = now.authenticated || atForm;
  const login = new URL(now.login_url ?? "/bff/login", location.origin);
  login.searchParams.set("return_to", location.pathname + location.search + location.hash);
  $("sign-in").href = login;
  if (now.authenticated) {
    const { name, sub, email } = now.user ?? {};
    $("user-name").textContent = name ?? sub ?? "Someone";
    $("user-email").textContent = email ?? "";
    $("user-initials").textContent = initials(name ?? sub ?? "?");
    start(clocks.idle, now.idle_expires_in);
    start(clocks.absolute, now.absolute_expires_in);
  } else {
    for (const clock of Object.values(clocks)) Object.assign(clock, { ends: null, span: 0 });
    if (before.authenticated) notice(REASONS[now.reason] ?? REASONS.no_session);
  }
  tick();
  scriptView();
}

const REASONS = {
  no_session: "You are signed out.",
  idle: "Your session ended because nothing happened for a while.",
  expired: "Your session reached its end.",
  revoked: "Your session was ended from elsewhere.",
  refresh_rejected: "The provider no longer accepts this login.",
};

async function extend() {
  const answer = await fetch("/bff/session/extend", { method: "POST", headers: CSRF });
  if (answer.ok) show(await answer.json());
  else await explain(answer);
}

async function signOut() {
  const answer = await fetch("/bff/logout", { method: "POST", headers: CSRF });
  if (!answer.ok) return explain(answer);
  const { logout_url } = await answer.json();
  if (logout_url) location.assign(logout_url);
  else location.reload();
}

// --- the form, where the API logs people in -------------------------------------------------------------------------

async function logIn() {
  const credentials = Object.fromEntries(new FormData($("login-form")));
  const headers = { accept: "application/json", "content-type": "application/json" };
  const answer = await fetch("/bff/login", { method: "POST", headers, body: JSON.stringify(credentials) });
  const said = parse(await answer.text());
  sayWhatIsWrong(answer, said);
  if (!answer.ok) return;
  show(said);
  await call("GET", "/api/me");
}

/** The API's own words, by field where it has some for a field; or else the gateway's. */
function sayWhatIsWrong(answer, said) {
  const errors = (!answer.ok && said?.errors) || {};
  for (const field of ["email", "password"]) $(`wrong-${field}`).textContent = errors[field]?.[0] ?? "";
  const words = said?.message ?? said?.detail ?? said?.title ?? said?.error ?? `The answer was ${answer.status}.`;
  $("wrong").textContent = answer.ok || said?.errors ? "" : words;
}

/** Where the login is to end: a place on this site, whatever the query says. */
function returnTo() {
  const wanted = new URLSearchParams(location.search).get("return_to") ?? "/";
  const place = URL.canParse(wanted, location.origin) ? new URL(wanted, location.origin) : null;
  return place?.origin === location.origin ? place.href : "/";
}

// --- the API ------------------------------------------------------------------------------------------------------

async function call(method, path, body) {
  $("api-call").textContent = `${method} ${path}`;
  const headers = { accept: "application/json", ...CSRF };
  // Pinned to the person on screen: if another tab signs in as someone else, this call is refused instead of mixed up.
  if (session.pin) headers["X-BFF-Pin"] = session.pin;
  if (body) headers["content-type"] = "application/json";
  const begun = performance.now();
  let answer, text;
  try {
    answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    text = await answer.text();
  } catch {
    return result(null, "No answer.", "");
  }
  const took = `${Math.max(1, Math.round(performance.now() - begun))} ms`;
  const json = parse(text);
  result(answer, json ?? text, answer.ok && json?.site ? `seen as ${json.site}, ${took}` : took);
  if (answer.ok && json?.token) {
    start(clocks.token, json.token.expires_in);
    $("token-serial").textContent = `Token ${json.token.serial}, held by the server`;
  }
  if (!answer.ok) await explain(answer, json);
  await loadSession();
}

function result(answer, body, aside) {
  const status = $("api-status");
  status.textContent = answer ? `${answer.status}` : "failed";
  status.className = `status ${answer?.ok ? "good" : "bad"}`;
  $("api-saw").textContent = aside;
  const out = $("api-result");
  out.replaceChildren();
  const text = typeof body === "string" ? body : JSON.stringify(body, null, 2);
  for (const part of text.split(/("[^"\n]*"(?=:))/)) {
    if (part.startsWith('"') && typeof body !== "string") {
      const key = document.createElement("span");
      key.className = "key";
      key.textContent = part;
      out.append(key);
    } else out.append(part);
  }
}

/** Turns the gateway's problem documents into sentences. */
async function explain(answer, body) {
  const problem = body ?? parse(await answer.text());
  const reason = problem?.reason ?? answer.headers.get("x-bff-reason");
  const wait = answer.headers.get("retry-after");
  if (answer.status === 401 && reason) {
    show({ authenticated: false, reason, login_url: problem?.login_url });
  } else if (answer.status === 401) notice("The API did not accept the token.");
  else if (answer.status === 403) notice(`The gateway refused the request (${reason ?? "forbidden"}).`);
  else if (answer.status === 409) notice("Someone else signed in at this site in another tab.");
  else if (answer.status === 503) {
    notice(`Not available right now (${reason ?? "overloaded"}); you stay signed in.${wait ? ` Try again in ${wait} s.` : ""}`);
  } else notice(`The answer was ${answer.status}${reason ? ` (${reason})` : ""}.`);
}

// --- what a script can see ----------------------------------------------------------------------------------------

function scriptView() {
  const rows = [
    ["document.cookie", document.cookie],
    ["localStorage", Object.keys(localStorage).join(", ")],
    ["sessionStorage", Object.keys(sessionStorage).join(", ")],
    ["/bff/session", Object.keys(session.user ?? {}).join(", ")],
  ];
  $("script-view").replaceChildren(
    ...rows.map(([name, found]) => {
      const row = document.createElement("div");
      const term = Object.assign(document.createElement("dt"), { textContent: name });
      const value = Object.assign(document.createElement("dd"), { textContent: found || "empty" });
      value.classList.toggle("empty", !found);
      row.append(term, value);
      return row;
    }),
  );
}

// --- clocks -------------------------------------------------------------------------------------------------------

function start(clock, seconds) {
  if (typeof seconds !== "number") return;
  clock.ends = performance.now() + seconds * 1000;
  clock.span = Math.max(clock.span, seconds);
}

function tick() {
  for (const [name, { ends, span }] of Object.entries(clocks)) {
    const left = ends === null ? null : Math.max(0, Math.round((ends - performance.now()) / 1000));
    $(`${name}-remaining`).textContent = left === null ? "–" : name === "token" && left === 0 ? "next call renews" : clockFace(left);
    $(`${name}-bar`).value = left === null || !span ? 0 : left / span;
  }
}

function clockFace(seconds) {
  const pad = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours}:${pad(minutes)}:${pad(seconds % 60)}` : `${minutes}:${pad(seconds % 60)}`;
}

function everySecond() {
  tick();
  const over = [clocks.idle, clocks.absolute].some(({ ends }) => ends !== null && ends < performance.now());
  if (session.authenticated && over) loadSession();
}

// --- small things -------------------------------------------------------------------------------------------------

function notice(text) {
  $("notice-text").textContent = text;
  $("notice").hidden = false;
}

function initials(name) {
  const words = name.trim().split(/\s+/);
  return ((words[0]?.[0] ?? "") + (words.length > 1 ? words.at(-1)[0] : "")).toUpperCase();
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Runs on click; a second click waits for the first. */
function onClick(id, action) {
  $(id).addEventListener("click", async () => {
    $(id).disabled = true;
    try {
      await action();
    } catch {
      notice("The gateway does not answer. Is cloakroom dev still running?");
    }
    $(id).disabled = false;
  });
}

dressUp();
onClick("call-api", () => call("GET", "/api/me"));
onClick("call-orders", () => call("GET", "/api/orders"));
onClick("send-note", () => call("POST", "/api/notes", { text: "The blue coat is mine.", at: new Date().toISOString() }));
onClick("extend", extend);
onClick("sign-out", signOut);
onClick("log-in-now", logIn);
$("login-form").addEventListener("submit", (event) => event.preventDefault());
onClick("notice-close", () => ($("notice").hidden = true));
setInterval(everySecond, 1000);
// Asking is not activity, so this keeps nobody signed in; it notices a logout in another tab.
setInterval(() => document.hidden || loadSession(), 20_000);
document.addEventListener("visibilitychange", () => document.hidden || loadSession());
addEventListener("pageshow", (event) => event.persisted && loadSession());

await loadSession();
if (session.authenticated) await call("GET", "/api/me");
