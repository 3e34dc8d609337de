//! The operators' view of a store, at the size where it comes in pages; and sessions ended by the provider's `sid`.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cloakroom::auth::sessions::{Roster, RosterError, Target};
use cloakroom::auth::{Auth, Background};
use cloakroom::clock::{Clock, Timestamp};
use cloakroom::config::{Config, read_text};
use cloakroom::secret::AccessToken;
use cloakroom::session::keyring::Keyring;
use cloakroom::session::record::{Meta, Record, Secrets};
use cloakroom::session::store::memory::MemoryStore;
use cloakroom::session::store::{Loaded, NewEntry, Store, StoreKey};
use cloakroom::session::ticket::Ticket;
use serde_json::Map;

use crate::support::Setup;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const ISSUER: &str = "http://127.0.0.1:9";

/// Two sites on a store in memory, at a time that stands still.
struct Stage {
    config: Config,
    clock: Clock,
    store: Arc<MemoryStore>,
}

impl Stage {
    fn new() -> Self {
        let text = Setup::two_sites().toml(ISSUER, ISSUER);
        let config = read_text(Path::new("gateway.toml"), &text, &|_| None).expect("a good configuration");
        let clock = Clock::manual(NOW);
        Self { config, store: Arc::new(MemoryStore::new(clock.clone())), clock }
    }

    fn roster(&self) -> Roster {
        Roster::of_config(&self.config.sites, &self.clock)
    }

    fn origin(&self, site: usize) -> String {
        self.config.sites[site].origin.to_string()
    }

    /// A session as a login would make it.
    async fn insert(&self, site: usize, subject: &str, sid: Option<&str>) -> StoreKey {
        let site = &self.config.sites[site];
        let ring = Keyring::new(&site.origin, &site.session.keys).expect("a site has a key");
        let now = self.clock.now();
        let ends_at = now.plus(site.session.absolute);
        let ticket = Ticket::new(ends_at);
        let key = ticket.store_key(&site.origin);
        let record = Record {
            meta: Meta {
                provider: "main".into(),
                issuer: ISSUER.into(),
                subject: subject.into(),
                sid: sid.map(str::to_owned),
                created_at: now,
                ends_at,
                last_seen: now,
                token_since: now,
                token_until: ends_at,
                generation: 1,
                refreshable: true,
                pin: None,
                newer: serde_json::Map::new(),
            },
            secrets: Secrets {
                access_token: AccessToken::new("token"),
                refresh_token: None,
                dpop_key: None,
                id_token: None,
                scope: None,
                claims: Map::new(),
                newer: serde_json::Map::new(),
            },
        };
        let mut indexes = vec![ring.subject_index(ISSUER, subject)];
        indexes.extend(sid.map(|sid| ring.sid_index(ISSUER, sid)));
        let sealed = record.seal(&ring, &key, ticket.secret(), 1);
        assert!(
            self.store
                .insert(&key, NewEntry { sealed, expires_at: ends_at, indexes })
                .await
                .expect("memory never fails")
        );
        key
    }

    async fn lives(&self, key: &StoreKey) -> bool {
        matches!(self.store.load(key).await.expect("memory never fails"), Loaded::Live(_))
    }

    /// Every page of a listing: the subjects, and how many pages there were.
    async fn pages(&self, site: Option<&str>) -> (Vec<String>, usize) {
        let (mut subjects, mut pages, mut cursor) = (Vec::new(), 0, None);
        loop {
            let page = self.roster().list(&*self.store, site, None, cursor.as_deref()).await;
            let page = page.expect("memory never fails");
            assert!(page.sessions.len() < 1_000, "an answer has a bound");
            subjects.extend(page.sessions.into_iter().map(|session| session.subject));
            pages += 1;
            cursor = page.next;
            if cursor.is_none() {
                return (subjects, pages);
            }
        }
    }
}

#[tokio::test]
async fn a_large_store_is_listed_page_by_page_and_every_session_once() {
    let stage = Stage::new();
    for number in 0..1_500 {
        stage.insert(number % 2, &format!("user-{number}"), None).await;
    }
    let (subjects, pages) = stage.pages(None).await;
    assert_eq!((subjects.len(), subjects.iter().collect::<HashSet<_>>().len()), (1_500, 1_500));
    assert!(pages > 1, "one page held them all");
    let (subjects, _) = stage.pages(Some(&stage.origin(1))).await;
    assert_eq!(subjects.len(), 750);
    let report = stage.roster().keys(&*stage.store).await.unwrap();
    assert_eq!(report.keys.iter().map(|key| key.sessions).collect::<Vec<_>>(), [750, 750]);
    let ended = stage.roster().revoke(&*stage.store, Some(&stage.origin(0)), &Target::All, "test").await.unwrap();
    assert_eq!(ended, 750);
    assert_eq!(stage.pages(None).await.0.len(), 750);
}

#[tokio::test]
async fn sessions_of_a_stranger_in_the_same_store_are_neither_shown_nor_ended() {
    let stage = Stage::new();
    let stranger = Stage { store: Arc::clone(&stage.store), clock: stage.clock.clone(), ..Stage::new() };
    let theirs = stranger.insert(0, "ada", None).await;
    let ours = stage.insert(0, "ada", None).await;
    assert_eq!(stage.pages(None).await.0, ["ada"]);
    let report = stage.roster().keys(&*stage.store).await.unwrap();
    assert_eq!(report.unknown, 1);
    assert_eq!(stage.roster().revoke(&*stage.store, None, &Target::Subject("ada".into()), "test").await.unwrap(), 1);
    assert_eq!(stage.roster().revoke(&*stage.store, None, &Target::All, "test").await.unwrap(), 0);
    assert!(!stage.lives(&ours).await && stage.lives(&theirs).await);
}

#[tokio::test]
async fn a_session_that_is_over_by_the_clock_is_no_live_one() {
    let stage = Stage::new();
    let key = stage.insert(0, "ada", None).await;
    stage.clock.advance(stage.config.sites[0].session.idle + Duration::from_secs(1));
    assert!(stage.pages(None).await.0.is_empty());
    let of_ada = stage.roster().list(&*stage.store, None, Some("ada"), None).await.unwrap();
    assert!(of_ada.sessions.is_empty());
    let report = stage.roster().keys(&*stage.store).await.unwrap();
    assert_eq!(report.keys[0].sessions, 0, "no activity will ever seal it anew");
    let ended = stage.roster().revoke(&*stage.store, None, &Target::All, "test").await.unwrap();
    assert!(ended == 0 && !stage.lives(&key).await, "it is no longer there to be revived, and was none to count");
}

#[tokio::test]
async fn a_provider_session_ends_what_began_with_it_at_that_issuer_alone() {
    let stage = Stage::new();
    let (first, second) = (stage.insert(0, "ada", Some("s-1")).await, stage.insert(0, "ada", Some("s-2")).await);
    let elsewhere = stage.insert(1, "ada", Some("s-1")).await;
    let background = Background::new(tokio::runtime::Handle::current(), Arc::<MemoryStore>::clone(&stage.store));
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let site = Arc::new(stage.config.sites[0].clone());
    let auth = Auth::new(site, stage.clock.clone(), background, cloakroom::auth::Streams::default(), None).unwrap();
    let sessions = auth.sessions();
    assert_eq!(sessions.end_by_sid(&*stage.store, "https://other.example", "s-1").await.unwrap(), 0);
    assert_eq!(sessions.end_by_sid(&*stage.store, ISSUER, "s-1").await.unwrap(), 1);
    assert!(!stage.lives(&first).await && stage.lives(&second).await && stage.lives(&elsewhere).await);
    assert_eq!(
        sessions.end_by_subject(&*stage.store, ISSUER, "ada").await.unwrap(),
        1,
        "what ended is not counted twice"
    );
    assert!(stage.lives(&elsewhere).await, "another site's sessions are another site's");
}

#[tokio::test]
async fn an_origin_or_a_cursor_that_is_not_ours_is_refused_and_never_an_empty_list() {
    let stage = Stage::new();
    stage.insert(0, "ada", None).await;
    let list = async |site: String| stage.roster().list(&*stage.store, Some(&site), None, None).await;
    assert_eq!(list(stage.origin(0)).await.unwrap().sessions.len(), 1);
    for wrong in ["https://elsewhere.example", "one", ""] {
        assert!(matches!(list(wrong.into()).await, Err(RosterError::UnknownSite(_))), "{wrong}");
    }
    let broken = stage.roster().list(&*stage.store, None, None, Some("***")).await;
    assert!(matches!(broken, Err(RosterError::BadCursor)));
}
