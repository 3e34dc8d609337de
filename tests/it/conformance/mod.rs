//! The OpenID conformance suite's modules for relying parties, each as a test of its name, against the real gateway: the
//! plans `oidcc-client-basic-certification`, `-config-certification`, `-refreshtoken`, `-rp-initiated-logout-rp-basic`,
//! `-back-channel-logout-rp-basic`, `-front-channel-logout-rp-basic`, `-formpost-basic-certification` and
//! `fapi2-security-profile-final-client`, and the JARM modules of `fapi2-message-signing-final-client`. `modules.txt` has all
//! names there are, and says of each that has no test why not.
//!
//! The suite is the provider, and drives nothing: it waits for the relying party, and a module that spoils something has
//! passed when nothing more happens. [`Run`] asks for the same, and for the reason in the log.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be made is a failure")]

mod back_channel;
mod basic;
mod config;
pub(crate) mod demands;
mod fapi2;
mod form_post;
mod front_channel;
mod jarm;
mod mtls;
mod names;
mod refresh_token;
mod rp_initiated_logout;
pub(crate) mod suite;
mod userinfo;

use self::suite::{State, Suite};
use crate::support::{Browser, Page, Setup, World, eventually};

/// A module under way: the provider it plays, and a gateway that knows no other.
pub(crate) struct Run {
    /// Whether what is wrong comes after the ID token, so that its UserInfo may be asked for.
    believed: bool,
    /// How access tokens are shown.
    scheme: &'static str,
    pub(crate) suite: Suite,
    pub(crate) world: World,
}

impl Run {
    /// A provider of which `spoil` changes something, before anybody asks it anything.
    pub(crate) fn of(spoil: impl FnOnce(&mut State)) -> Self {
        Self::with(&[], spoil)
    }

    /// The same with further lines for `[[site.provider]]`.
    pub(crate) fn with(lines: &[&str], spoil: impl FnOnce(&mut State)) -> Self {
        Self::prepared(lines, |_| {}, spoil)
    }

    /// The same with further changes of the gateway's configuration, in which `SUITE` stands for the provider's URL.
    pub(crate) fn prepared(lines: &[&str], prepare: impl FnOnce(&mut Setup), spoil: impl FnOnce(&mut State)) -> Self {
        let suite = Suite::start();
        spoil(&mut suite.state());
        let mut setup = Setup::one_site();
        setup.sites[0].issuer = Some(suite.issuer());
        setup.sites[0].provider = lines.iter().map(|line| (*line).to_owned()).collect();
        prepare(&mut setup);
        for line in setup.sites[0].routes.iter_mut().flatten() {
            *line = line.replace("SUITE", &suite.issuer());
        }
        Self { believed: false, scheme: "Bearer", suite, world: World::of(setup) }
    }

    pub(crate) fn log_in(&self, browser: &mut Browser) -> Page {
        browser.sign_in(&self.world.one(), "alice")
    }

    /// A login that succeeds, and a call that carries the token it brought.
    #[track_caller]
    pub(crate) fn passes(&self) -> Browser {
        let mut browser = Browser::new();
        let page = self.log_in(&mut browser);
        assert_eq!(page.url, format!("{}/", self.world.one()), "{}", self.world.gateway.process.output());
        assert!(browser.is_signed_in(&self.world.one()));
        assert_eq!(browser.get(&self.world.one(), "/api/x").status, 200);
        let token = self.suite.state().access_tokens.last().cloned();
        let shown = self.world.upstream.last().one("authorization").to_owned();
        assert_eq!(shown.split_once(' '), token.as_deref().map(|token| (self.scheme, token)));
        let faults = self.suite.state().faults.clone();
        assert!(faults.is_empty(), "{faults:?}");
        browser
    }

    /// A login that is refused for `reason`, after which nothing more happens.
    #[track_caller]
    pub(crate) fn refuses(&self, reason: &str) {
        let mut browser = Browser::new();
        let page = self.log_in(&mut browser);
        assert_eq!(page.response.status, 400, "{}", page.response.text());
        self.nothing_came_of_it(&mut browser, reason);
    }

    /// Nobody is signed in, no token was used for anything, and the log says why.
    #[track_caller]
    pub(crate) fn nothing_came_of_it(&self, browser: &mut Browser, reason: &str) {
        assert!(!browser.is_signed_in(&self.world.one()));
        assert!(browser.session_cookie(&self.world.one()).is_none());
        assert!(browser.login_cookies(&self.world.one()).is_empty());
        browser.get(&self.world.one(), "/api/x").refuses(401, "no_session");
        assert!(self.world.upstream.requests().is_empty(), "the API was asked");
        let asked_for_user = self.suite.asked("/userinfo").len();
        assert_eq!(asked_for_user, usize::from(self.believed), "UserInfo is for a token that is believed");
        self.says(reason);
    }

    /// Waits until the log says `reason`.
    #[track_caller]
    pub(crate) fn says(&self, reason: &str) {
        eventually(&format!("the log should say {reason:?}"), || {
            self.world.gateway.process.output().contains(reason).then_some(())
        });
    }
}
