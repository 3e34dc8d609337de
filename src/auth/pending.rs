//! A login attempt between the redirect to the provider and the callback: what its cookie holds.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Auth, LoginRequest};
use crate::clock::Timestamp;
use crate::config::ResponseMode;
use crate::guard::return_to::ReturnTo;
use crate::provider::LoginHints;
use crate::secret::{CodeVerifier, DpopKey, Nonce, State};
use crate::session::keyring::CookiePurpose;
use crate::session::ticket::Ticket;

/// How long a login may take, from the redirect to the callback.
pub const LOGIN_LIFETIME: Duration = Duration::from_secs(600);

/// The end of a state whose login was restarted once already. It is part of the state, and not of a cookie, because
/// what it guards against is a browser that keeps no cookies.
const RESTARTED: &str = ".r";

/// One login attempt, sealed into a cookie of its own: everything its callback is checked against (RFC 9700 §4.4.2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingLogin {
    pub(super) provider: String,
    /// Whom the code is for, whatever a reload makes of the provider's name meanwhile (RFC 9700 §4.4.2).
    pub(super) issuer: String,
    pub(super) state: State,
    pub(super) nonce: Nonce,
    pub(super) verifier: CodeVerifier,
    /// The key that the tokens are to be bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dpop_key: Option<DpopKey>,
    pub(super) return_to: String,
    pub(super) started: Timestamp,
    pub(super) silent: bool,
    /// What the login asked for, should it have to be restarted.
    #[serde(default, skip_serializing_if = "Hints::is_empty")]
    pub(super) hints: Hints,
    /// How the answer was asked for, whatever a reload makes of the configuration meanwhile.
    #[serde(default)]
    pub(super) response_mode: ResponseMode,
    /// What a step-up asked for beside the configured scopes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) further_scopes: Vec<String>,
    /// The session that the login is to replace, where its cookie stays away from the callback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<Ticket>,
}

/// What the browser passed on to the provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hints {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    login_hint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ui_locales: Option<String>,
}

impl Hints {
    pub(super) fn of(hints: &LoginHints) -> Self {
        let LoginHints { prompt, login_hint, ui_locales, .. } = hints.clone();
        Self { prompt, login_hint, ui_locales }
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl PendingLogin {
    /// A fresh state; a login that is a restart carries the mark of it.
    pub(super) fn new_state(restart: bool) -> State {
        let mark = if restart { RESTARTED } else { "" };
        State::new(format!("{}{mark}", State::random().expose()))
    }

    /// The first characters of the state, by which the callback finds its cookie.
    #[must_use]
    pub fn cookie_suffix(&self) -> &str {
        Self::suffix_of(self.state.expose()).unwrap_or_default()
    }

    /// The same, of a state as a callback brings it; `None` when it cannot be one of ours.
    #[must_use]
    pub fn suffix_of(state: &str) -> Option<&str> {
        let suffix = state.get(..8)?;
        suffix.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')).then_some(suffix)
    }

    /// Whether `state` is this attempt's, in constant time.
    #[must_use]
    pub fn has_state(&self, state: &str) -> bool {
        crate::secret::constant_time_eq(self.state.expose().as_bytes(), state.as_bytes())
    }

    /// When the attempt began.
    #[must_use]
    pub const fn started(&self) -> Timestamp {
        self.started
    }

    /// The session that the login is to replace, where its cookie may stay away from the callback.
    #[must_use]
    pub const fn previous(&self) -> Option<&Ticket> {
        self.previous.as_ref()
    }

    /// Whether this attempt is a restart.
    #[must_use]
    pub fn is_restart(&self) -> bool {
        Self::was_restarted(self.state.expose())
    }

    /// Whether the attempt that `state` belongs to was a restart already.
    #[must_use]
    pub fn was_restarted(state: &str) -> bool {
        state.ends_with(RESTARTED)
    }
}

impl Auth {
    /// Seals an attempt as the value of its login cookie, of at most `room` bytes. What it can do without is left out where
    /// there is no room for it: first what a restart would ask for again, then the session to be replaced. `None` if that is
    /// not enough.
    #[must_use]
    pub fn seal_login(&self, cookie: &str, mut pending: PendingLogin, room: usize) -> Option<String> {
        let sealed = |pending: &PendingLogin| {
            let json = serde_json::to_string(pending).expect("an attempt is plain text");
            let sealed = self.ring.seal_cookie(CookiePurpose::Login, cookie, &json);
            (sealed.len() <= room).then_some(sealed)
        };
        sealed(&pending)
            .or_else(|| {
                pending.hints = Hints::default();
                sealed(&pending)
            })
            .or_else(|| {
                pending.previous = None;
                sealed(&pending)
            })
    }

    /// Opens a login cookie; `None` when it is not ours, altered, or older than [`LOGIN_LIFETIME`].
    #[must_use]
    pub fn open_login(&self, cookie: &str, sealed: &str) -> Option<PendingLogin> {
        let opened = self.ring.open_cookie(CookiePurpose::Login, cookie, sealed)?;
        let pending: PendingLogin = serde_json::from_str(&opened.value).ok()?;
        (self.clock.now().since(pending.started) <= LOGIN_LIFETIME).then_some(pending)
    }

    /// The same login once more: at the same provider, to the same end.
    #[must_use]
    pub fn again(&self, pending: &PendingLogin) -> LoginRequest {
        let Hints { prompt, login_hint, ui_locales } = pending.hints.clone();
        let prompt = prompt.or_else(|| pending.silent.then(|| "none".to_owned()));
        let further_scopes = pending.further_scopes.clone();
        LoginRequest {
            provider: Some(pending.provider.clone()),
            return_to: ReturnTo::parse(&pending.return_to, &self.site.base_path)
                .unwrap_or_else(|_| ReturnTo::front_page()),
            hints: LoginHints { prompt, login_hint, ui_locales, further_scopes },
            restart: true,
            previous: pending.previous.clone(),
        }
    }
}
