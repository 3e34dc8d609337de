//! # cloakroom
//!
//! A backend-for-frontend session gateway: one small binary in front of a single-page app. The browser hands its coat in
//! (the OAuth tokens) and keeps a numbered ticket (one encrypted cookie); same-origin calls to `/api` are proxied with
//! the user's bearer attached. This page is the architecture document; `config/gateway.toml` is the configuration's.
//!
//! ## The rooms
//!
//! A room's front page (`room.rs`) says what it is responsible for; its folder holds the rest. Lower rooms never see
//! higher ones, rooms on one line never see each other, and a test (`tests/it/tidy.rs`) holds this table.
//!
//! | layer | room | what lives there |
//! |---|---|---|
//! | 0 | [`clock`], [`secret`], [`lists`] | the time as a value; one type per kind of secret, randomness; header values that are lists |
//! | 0 | [`tls`] | certificate files, and verified TLS towards others |
//! | 1 | [`config`] | the files as written, every fault at once, resolved into meaning; the only reader of the environment |
//! | 2 | [`telemetry`] | log lines, request ids, metrics |
//! | 2 | [`dpop`] | tokens bound to a key: proofs, and the nonces that servers want in them |
//! | 3 | [`session`] | key ring, ticket, record, life, and the store: memory, file, Redis |
//! | 3 | [`provider`] | who logs users in: the strict OpenID Connect client, plain OAuth 2.0, an API with a login of its own |
//! | 2 | [`connection`] | a browser's connection, and the limits that the server does not keep |
//! | 3 | [`guard`] | pure functions of a request's words that return a proof or a refusal |
//! | 4 | [`auth`] | the use cases, without any HTTP type: log in, current session, refresh, log out; the live streams; an operator's view of it |
//! | 4 | [`proxy`] | the route table, headers, bodies, WebSocket tunnels, and the upstream client |
//! | 5 | [`endpoints`] | the public listener: the door, our own paths, the proxied call, the SPA's files, every error |
//! | 5 | [`admin`] | the second listener: probes, metrics, sessions behind a token |
//! | 6 | [`app`] | where everything is wired: [`app::Gateway::build`] is the one door for `main`, `dev` and tests |
//! | 7 | [`dev`] | an embedded provider, a demo API and two demo sites; shares no code with [`provider`] |
//! | 8 | [`cli`] | arguments, exit codes |
//!
//! Refresh lives in `auth`, not in `provider`: it needs the store as well as the token call, and either room would
//! otherwise have to import the other.
//!
//! ## Where things run
//!
//! Each actix worker thread has its own upstream connections, its own connection to the store, and its own view of the
//! current configuration ([`endpoints::Worker`]); a request is answered on one thread from start to end. What must not
//! die with a request (a code's redemption, a refresh, a logout) runs on one background runtime ([`auth::Background`]),
//! which is the only place that talks to providers. A reload makes a new generation of everything that depends on the
//! configuration, with the certificate files read once for all; each worker notices it at its next request.
//!
//! ## Five walks
//!
//! 1. *Log in.* `endpoints::login` makes a [`guard::return_to::ReturnTo`] of what the page asked for and calls
//!    [`auth::Auth::begin_login`], which asks the provider for its authorization URL; the attempt's state, nonce and
//!    verifier are sealed into a login cookie of their own. `endpoints::callback` finds that cookie by the state and
//!    calls [`auth::Auth::complete_login`]: the state is consumed in the store, the issuer compared, the code redeemed
//!    once, the user proven; a new random id is written with `insert`; `endpoints::binding` sets the cookie.
//!    Where the provider has no page, `endpoints::relay` takes the credentials of the app's own form, with the proof of
//!    same origin and out of a budget of its own, and [`auth::Auth::log_in`] hands them on; the end is the same.
//! 2. *A proxied call.* `endpoints::door` checks host, the address's budget and path, finds the route; `endpoints::api`
//!    demands the proof of same origin, opens the ticket, loads and judges the record (from the near cache, while this
//!    process hears of what others change, else by one read of the store), checks the pin, the session's budget and its
//!    scopes ([`auth::Auth::step_up`] seals what a login must ask for), gets a token, and hands the proof by value to
//!    [`proxy::forward`]. What this worker has opened before, the very cookie and the very record that the store still
//!    has, it does not open again; whether there is a session is asked and judged every time. An upstream that refuses a token which was replaced meanwhile is asked once more with
//!    the newer one ([`auth::Auth::newer_token`]), if the request had no body or a small one that was kept.
//! 3. *Refresh under load.* A thousand calls on three replicas find the token due. In each process the first starts a
//!    task, a flight, and the others wait for its outcome. Of the flights one gets the session's lease in the store and
//!    renews it while it asks the provider, once the provider's budget has room; the others wait for the record to change. The
//!    call stays open for as long as the provider takes, within two minutes; a request waits a shorter time, and the next one
//!    joins the same flight. Nobody waits while the old token is good.
//!    The holder writes with compare-and-set: a write that came first is merged, an end that came first wins, a store that
//!    is down is waited for with the token in memory. A holder that gives no sign of life for four seconds, while the store
//!    answers, loses the lease; one that was only stopped meets a newer version.
//! 4. *Log out.* The record becomes a tombstone with its reason before anything else happens; then the refresh token is
//!    given back in the background and the browser is told the provider's logout URL.
//!    The provider can ask for the same behind the browser's back: [`auth::Auth::end_by_logout_token`] verifies its token
//!    before it looks anything up, and acts on each token once.
//!    One that is allowed to may also do it through a frame in the browser, where no cookie comes along:
//!    [`auth::Auth::end_by_front_channel`] goes by the `sid` alone.
//!
//! 5. *A stream outlives its check.* A WebSocket, `/bff/events` or an upstream's event stream is let in like any call and
//!    then lives on its session: [`auth::Auth::open_stream`] hands out an [`auth::Live`], and one watcher for each session
//!    that has streams in this process follows the record. What ends the session, wherever, ends the [`auth::Live`], which
//!    learns from the store whether it was another user's login; a tunnel then waits for the end of the frame on its way
//!    and puts a Close frame behind it ([`proxy::tunnel`]).
//!
//! ## What the types make impossible
//!
//! | mistake | made impossible by |
//! |---|---|
//! | using unverified metadata or an unverified token | [`provider::ProvenUser`] and [`provider::VerifiedLogoutToken`] have no public constructor; completing a login takes the one, ending sessions for the provider the other |
//! | forwarding without the same-origin check | [`proxy::forward::Pass::Session`] holds a [`guard::same_origin::SameOrigin`] by value |
//! | an open redirect | [`guard::return_to::ReturnTo::parse`] is the only constructor, and every `Location` of ours is made of one and the configured origin |
//! | matching one path and forwarding another | [`guard::path::RoutePath`] holds the exact bytes; match and upstream URI both come from it |
//! | a session id as a store key or in a log | [`session::store::StoreKey`] is a one-way hash; tickets are redacted |
//! | one sealed value used as another | [`session::keyring`] binds purpose, site, name and context in |
//! | a lost or resurrecting write | [`session::store::Store::replace`] takes the version it read; `Conflict` and `Gone` are outcomes |
//! | "no session" confused with "the store is down" | [`session::store::Loaded::Absent`] is an answer, [`session::store::StoreError`] is none |

pub mod admin;
pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connection;
pub mod dev;
pub mod dpop;
pub mod endpoints;
pub mod guard;
pub mod lists;
pub mod provider;
pub mod proxy;
pub mod secret;
pub mod session;
pub mod telemetry;
pub mod tls;
