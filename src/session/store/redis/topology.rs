//! Who has what, as far as this process knows: one view for all its connections, asked for anew when it proved wrong.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::select_ok;
use redis::Value;
use tokio::sync::watch;

use super::failure::{Cause, Failure};
use super::link::Link;
use super::request::{Place, Request};
use super::sentinel;
use super::settings::Settings;
use super::slots::{SlotMap, slot};
use crate::config::{RedisAddress, RedisServers};

/// While it stays wrong, the view is asked for no more often than this.
const RENEW_EVERY: Duration = Duration::from_millis(100);

/// How many names are tried to find one that belongs to a certain server of a Cluster.
const NAMES: usize = 256;

/// The servers of the configuration.
pub(super) struct Topology {
    settings: watch::Sender<Arc<Settings>>,
    view: Mutex<View>,
    /// Whoever has this asks; the others wait for what it learns.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct View {
    primary: Option<RedisAddress>,
    slots: Option<SlotMap>,
    /// Something contradicted the view.
    doubted: bool,
    asked: Option<Instant>,
}

impl Topology {
    pub(super) fn new(settings: Settings) -> Self {
        let settings = watch::Sender::new(Arc::new(settings));
        Self { settings, view: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }

    /// Tells when the settings have changed.
    pub(super) fn watch(&self) -> watch::Receiver<Arc<Settings>> {
        self.settings.subscribe()
    }

    /// From now on connections are made with these.
    pub(super) fn change(&self, settings: Settings) {
        self.settings.send_replace(Arc::new(settings));
    }

    /// The server that `place` means.
    pub(super) async fn locate(&self, place: &Place, link: &Link, by: Instant) -> Result<RedisAddress, Failure> {
        let key = match place {
            Place::Server(address) => return Ok(address.clone()),
            Place::Key(key) => key,
        };
        let settings = self.settings();
        if let RedisServers::One(address) = &settings.config.servers {
            return Ok(address.clone());
        }
        let mut why = None;
        if self.is_doubted() {
            why = self.renew(&settings, link, None, by).await.err();
        }
        let (view, slot) = (self.lock(), slot(key));
        let known = view.primary.as_ref().or_else(|| view.slots.as_ref()?.owner(slot)).cloned();
        known.ok_or_else(|| why.unwrap_or_else(|| Failure::unsent(Cause::Forbidden("nobody has this key now".into()))))
    }

    /// Every server that takes writes.
    pub(super) async fn primaries(&self, link: &Link, by: Instant) -> Result<Vec<RedisAddress>, Failure> {
        let settings = self.settings();
        let mut outcome = Ok(());
        if self.is_doubted() {
            outcome = self.renew(&settings, link, None, by).await;
        }
        match self.known() {
            known if known.is_empty() => Err(outcome.err().unwrap_or(Failure::unsent(Cause::GivenUp))),
            known => Ok(known),
        }
    }

    /// As [`Self::primaries`], without asking anybody.
    pub(super) fn known(&self) -> Vec<RedisAddress> {
        if let RedisServers::One(address) = &self.settings().config.servers {
            return vec![address.clone()];
        }
        let view = self.lock();
        let slots = || view.slots.as_ref().map(SlotMap::primaries).unwrap_or_default();
        view.primary.clone().map_or_else(slots, |primary| vec![primary])
    }

    /// The first of the numbered `names` that belongs to `server`, as far as this process knows.
    pub(super) fn name_at(&self, server: &RedisAddress, name: impl Fn(usize) -> String) -> Option<String> {
        let view = self.lock();
        let Some(slots) = &view.slots else { return Some(name(0)) };
        (0..NAMES).map(name).find(|name| slots.owner(slot(name)) == Some(server))
    }

    /// Takes in that a slot has moved; others may have, too.
    pub(super) fn moved(&self, slot: u16, address: RedisAddress) {
        let mut view = self.lock();
        view.doubted = true;
        if let Some(slots) = &mut view.slots {
            slots.assign(slot, address);
        }
    }

    /// Something was not as the view says: the next request asks first.
    pub(super) fn doubt(&self) {
        self.lock().doubted = true;
    }

    /// Asks for the view, unless that was done a moment ago. `suspect` is asked last.
    pub(super) async fn renew(
        &self,
        settings: &Settings,
        link: &Link,
        suspect: Option<&RedisAddress>,
        by: Instant,
    ) -> Result<(), Failure> {
        let wanted = Instant::now();
        let recent = |asked: Option<Instant>| asked.is_some_and(|asked| asked + RENEW_EVERY > wanted);
        if recent(self.lock().asked) {
            return Ok(());
        }
        let _turn = self.asking.lock().await;
        if recent(self.lock().asked) {
            return Ok(());
        }
        let learnt = match &settings.config.servers {
            RedisServers::One(_) => return Ok(()),
            RedisServers::Sentinel { .. } => sentinel::primary(settings, by).await.map(Learnt::Primary),
            RedisServers::Cluster(seeds) => self.ask_for_slots(link, seeds, suspect, by).await.map(Learnt::Slots),
        };
        let mut view = self.lock();
        view.asked = Some(Instant::now());
        let learnt = learnt?;
        view.doubted = false;
        match learnt {
            Learnt::Primary(address) => view.primary = Some(address),
            Learnt::Slots(map) => view.slots = Some(map),
        }
        Ok(())
    }

    /// Whichever node answers first.
    async fn ask_for_slots(
        &self,
        link: &Link,
        seeds: &[RedisAddress],
        suspect: Option<&RedisAddress>,
        by: Instant,
    ) -> Result<SlotMap, Failure> {
        let mut nodes = self.known();
        nodes.extend_from_slice(seeds);
        nodes.sort();
        nodes.dedup();
        nodes.retain(|node| Some(node) != suspect);
        if let (true, Some(suspect)) = (nodes.is_empty(), suspect) {
            nodes.push(suspect.clone());
        }
        let asked = nodes.into_iter().map(|node| {
            Box::pin(async move {
                let request = Request::at(&node, "CLUSTER").arg("SLOTS");
                let answer: Value = link.node(&node).call(&request, false, by).await?;
                // A node that was taken out of the cluster answers, too, and knows of nobody.
                SlotMap::read(answer, &node)
                    .ok()
                    .filter(|map| !map.primaries().is_empty())
                    .ok_or_else(|| Failure::unsent(Cause::Forbidden("knows of no slots".to_owned())))
            })
        });
        select_ok(asked).await.map(|(map, _)| map)
    }

    fn is_doubted(&self) -> bool {
        let view = self.lock();
        view.doubted || (view.primary.is_none() && view.slots.is_none())
    }

    /// A panic elsewhere cannot leave this half written.
    fn lock(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Learnt {
    Primary(RedisAddress),
    Slots(SlotMap),
}
