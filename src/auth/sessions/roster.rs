//! The sessions of all sites, for operators: listed page by page, and counted by key.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::{ListedSession, SiteSessions};
use crate::clock::Clock;
use crate::config::{Origin, SiteConfig};
use crate::session::keyring::{KeyId, Keyring};
use crate::session::record::key_id;
use crate::session::store::{Cursor, Page, Store, StoreError, StoreKey, Stored};

/// A listing goes on with the store's next page until it holds this many, so that a rare site needs few requests.
const ENOUGH: usize = 100;

/// But no further than this many pages of the store, so that an answer comes soon even if nothing is found.
const PAGES: usize = 50;

/// The sites whose sessions can be listed and ended here. In a shared store lie the sessions of others too: they are
/// told by the id of their key and left alone.
pub struct Roster {
    sites: Vec<Arc<SiteSessions>>,
}

/// Some sessions, and where to go on; the last page has no `next`, and any page may be empty.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Listing {
    /// The sessions. One that is written while a listing goes on may stand on two pages.
    pub sessions: Vec<ListedSession>,
    /// The cursor of the next page.
    pub next: Option<String>,
}

/// How many sessions each key holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyReport {
    /// Every configured key, in the order of the configuration.
    pub keys: Vec<KeyCount>,
    /// Sessions in the store whose key is none of these: of other gateways, or of a key that was dropped too early.
    pub unknown: u64,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCount {
    /// The site's origin.
    pub site: String,
    /// The key's id, as it stands in front of each cookie's value; it says nothing about the key.
    pub key: String,
    /// Whether this is the key that seals.
    pub seals: bool,
    /// The live sessions whose record it seals.
    pub sessions: u64,
}

/// Why an operator's wish was not fulfilled.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// No site has this origin.
    #[error("no site of the configuration has the origin {0}")]
    UnknownSite(String),
    /// The cursor was not one of ours.
    #[error("the cursor is not one of a page before")]
    BadCursor,
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store cannot answer for all of them.
    #[error("{ended} sessions ended, others could not be, and asking again ends them; {}", failures.join("; "))]
    Partly {
        /// How many ended.
        ended: u64,
        /// What stood in the way of the others, each once; a server that is one of several is named.
        failures: Vec<String>,
    },
}

impl Roster {
    /// The roster of a gateway's sites.
    #[must_use]
    pub const fn new(sites: Vec<Arc<SiteSessions>>) -> Self {
        Self { sites }
    }

    /// The roster of configured sites, without a gateway that serves them.
    #[must_use]
    pub fn of_config(sites: &[SiteConfig], clock: &Clock) -> Self {
        let sessions = |site: &SiteConfig| {
            let ring = Keyring::new(&site.origin, &site.session.keys)?;
            Some(Arc::new(SiteSessions::new(site, Arc::new(ring), clock.clone())))
        };
        Self { sites: sites.iter().filter_map(sessions).collect() }
    }

    /// Live sessions: of one site or all, of one user or all. A user's come on one page.
    ///
    /// # Errors
    /// [`RosterError`]
    pub async fn list(
        &self,
        store: &dyn Store,
        site: Option<&str>,
        subject: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Listing, RosterError> {
        let sites = self.chosen(site)?;
        match subject {
            Some(subject) => {
                let mut listing = Listing::default();
                for site in sites {
                    for key in site.of_subject(store, subject).await? {
                        listing.sessions.extend(site.look_up(store, &key).await?);
                    }
                }
                Ok(listing)
            }
            None => {
                let from = cursor.map(decode_cursor).transpose()?.unwrap_or_default();
                Ok(self.list_from(store, &sites, from).await?)
            }
        }
    }

    async fn list_from(
        &self,
        store: &dyn Store,
        sites: &[&SiteSessions],
        mut from: Cursor,
    ) -> Result<Listing, StoreError> {
        let mut sessions = Vec::new();
        for _ in 0..PAGES {
            let page = next_page(store, &from).await?;
            sessions.extend(page.sessions.iter().filter_map(|(key, stored)| find(sites, key, stored)));
            match page.next {
                None => return Ok(Listing { sessions, next: None }),
                Some(next) => from = next,
            }
            if sessions.len() >= ENOUGH {
                break;
            }
        }
        Ok(Listing { sessions, next: Some(URL_SAFE_NO_PAD.encode(from.0)) })
    }

    /// How many live sessions each key still seals; a key that counts none can be dropped.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn keys(&self, store: &dyn Store) -> Result<KeyReport, StoreError> {
        let mut counts: BTreeMap<KeyId, u64> = BTreeMap::new();
        let sites: Vec<&SiteSessions> = self.sites.iter().map(|site| &**site).collect();
        let (mut unknown, mut from) = (0, Cursor::default());
        loop {
            let page = next_page(store, &from).await?;
            for (key, stored) in &page.sessions {
                match key_id(stored) {
                    Some(id) if sites.iter().any(|site| site.has_key(id)) => {
                        *counts.entry(id).or_default() += u64::from(find(&sites, key, stored).is_some());
                    }
                    _ => unknown += 1,
                }
            }
            match page.next {
                Some(next) => from = next,
                None => break,
            }
        }
        let keys = sites.iter().flat_map(|site| {
            site.ring.ids().enumerate().map(|(place, id)| KeyCount {
                site: site.name.clone(),
                key: id.to_string(),
                seals: place == 0,
                sessions: counts.get(&id).copied().unwrap_or_default(),
            })
        });
        Ok(KeyReport { keys: keys.collect(), unknown })
    }

    pub(super) fn chosen(&self, site: Option<&str>) -> Result<Vec<&SiteSessions>, RosterError> {
        let Some(wanted) = site else { return Ok(self.sites.iter().map(|site| &**site).collect()) };
        let unknown = || RosterError::UnknownSite(wanted.to_owned());
        let origin = Origin::parse(wanted).map_err(|_| unknown())?;
        let site = self.sites.iter().find(|site| site.origin == origin).ok_or_else(unknown)?;
        Ok(vec![&**site])
    }
}

fn find(sites: &[&SiteSessions], key: &StoreKey, stored: &Stored) -> Option<ListedSession> {
    sites.iter().find_map(|site| site.listed(key, stored))
}

/// The next page, after letting others have their turn: an embedded store never waits, and a whole scan would keep its
/// thread to itself.
pub(super) async fn next_page(store: &dyn Store, from: &Cursor) -> Result<Page, StoreError> {
    tokio::task::yield_now().await;
    store.scan(from).await
}

fn decode_cursor(text: &str) -> Result<Cursor, RosterError> {
    URL_SAFE_NO_PAD.decode(text).map(Cursor).map_err(|_| RosterError::BadCursor)
}
