//! What the provider remembers: codes, grants and signed-in browsers, all bounded and all with an end.

use std::collections::{BTreeSet, VecDeque};

use super::expiring::Expiring;
use crate::clock::Timestamp;

const MAX_CODES: usize = 10_000;
const MAX_GRANTS: usize = 50_000;
const MAX_BROWSERS: usize = 50_000;
const MAX_ADDRESSES: usize = 10_000;
const MAX_COMPLAINTS: usize = 100;

/// Who signed in, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authentication {
    pub(super) user: String,
    /// The `sid` of everything issued in this browser session.
    pub(super) sid: String,
    /// Seconds since the epoch.
    pub(super) auth_time: u64,
}

/// What a client was allowed in one login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) scope: String,
    pub(super) authentication: Authentication,
    /// Whether its access tokens are for the API.
    pub(super) for_api: bool,
    /// Whether it comes with refresh tokens.
    pub(super) refreshable: bool,
}

/// An authorization code that waits to be redeemed, or that was.
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) grant: Grant,
    pub(super) redirect_uri: String,
    pub(super) nonce: Option<String>,
    /// None where none was sent.
    pub(super) challenge: Option<String>,
    pub(super) spent: Spent,
}

/// What became of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spent {
    No,
    /// Burnt by a wrong attempt.
    InVain,
    /// The family of tokens it was exchanged for.
    For(String),
}

/// All tokens that came from one login.
#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) grant: Grant,
    /// How often the refresh token was replaced; only the one of this generation is good.
    pub(super) generation: u64,
    /// The `jti` of the newest access token.
    pub(super) access_token: Option<String>,
    /// When it began.
    pub(super) began: Timestamp,
    /// How often it was refreshed, whether or not that replaced the refresh token.
    pub(super) refreshes: u64,
}

/// How often each thing has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Authorization requests, refused ones included.
    pub authorizations: u64,
    /// Calls to the token endpoint, whatever their outcome.
    pub token_calls: u64,
    /// Codes exchanged for tokens.
    pub codes_redeemed: u64,
    /// Successful refreshes.
    pub refreshes: u64,
    /// Uses of a refresh token that had been replaced, each of which ended its family.
    pub refresh_reuses: u64,
    /// Calls to the revocation endpoint.
    pub revocations: u64,
    /// Browser sessions ended through the end-session endpoint.
    pub logouts: u64,
    /// Token calls refused because there had been too many.
    pub throttled: u64,
}

/// The provider's memory.
#[derive(Debug)]
pub(super) struct State {
    pub(super) codes: Expiring<Code>,
    pub(super) families: Expiring<Family>,
    /// Signed-in browsers, by the value of their cookie.
    pub(super) sso: Expiring<Authentication>,
    /// Who has been at which application: the person and the client.
    pub(super) known: BTreeSet<(String, String)>,
    /// Calls to the token endpoint in the minute that has begun, by address.
    pub(super) calls: Expiring<u32>,
    pub(super) tally: Tally,
    /// What the last button did, for the page that is shown next.
    pub(super) notice: Option<String>,
    complaints: VecDeque<String>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            codes: Expiring::new(MAX_CODES),
            families: Expiring::new(MAX_GRANTS),
            sso: Expiring::new(MAX_BROWSERS),
            known: BTreeSet::new(),
            calls: Expiring::new(MAX_ADDRESSES),
            tally: Tally::default(),
            notice: None,
            complaints: VecDeque::new(),
        }
    }

    pub(super) fn complain(&mut self, complaint: String) {
        if self.complaints.len() >= MAX_COMPLAINTS {
            self.complaints.pop_front();
        }
        self.complaints.push_back(complaint);
    }

    pub(super) fn complaints(&self) -> Vec<String> {
        self.complaints.iter().cloned().collect()
    }
}
