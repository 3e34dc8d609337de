//! What others change, heard within milliseconds: one subscription for the whole process, and a heartbeat that proves it.
//!
//! The scripts that write tell it in the same breath, on one channel, with the version: classic pub/sub. Client-side
//! tracking over RESP3 would tell no version, has to be switched on anew for every connection to every node of a Cluster
//! after each break, and what the library offers for it (`cache-aio`) it calls experimental. A classic subscription is
//! one connection to any node, since a Cluster carries messages to all of its nodes.
//!
//! A subscription that is silent looks like one where nothing happens, so every [`BEAT`] each primary is asked to publish
//! a beat on a channel of this process alone. Once a beat has come back from all of them, everything that was told
//! before it was sent has arrived: a server carries messages on in the order it got them. A primary that
//! is cut off from the node we listen at therefore shows within [`PATIENCE`], and the subscription moves on.
//!
//! A server that was emptied tells nobody; the same beats look whether a mark of ours still stands there (`mark`), and if
//! not, the subscription is made anew, as after any loss. Not heard are single sessions that vanish without a write of
//! ours: eviction, deletion by hand.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt as _};
use redis::Msg;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::failure::explain;
use super::layout::{CHANGES, change};
use super::link::Link;
use super::mark::Marks;
use super::request::{Request, deadline};
use crate::config::{RedisAddress, RedisServers};
use crate::session::store::changes::{Change, Changes};
use crate::session::store::{Holder, StoreKey};

/// How often the channel is proven.
const BEAT: Duration = Duration::from_millis(250);

/// A subscription that proved nothing for this long is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// Making a subscription may take this long.
const SUBSCRIBING: Duration = Duration::from_millis(750);

/// How long to wait before the next try: longer each time, and never long enough to matter.
const BACKOFF: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(150), Duration::from_millis(400)];

/// How many beats are waited for at once: those of [`PATIENCE`].
const AWAITED: usize = 4;

/// With every so many beats the sentinels are asked whether the primary is still the one.
const WATCH: usize = 4;

/// Who is told.
pub trait Audience: Send + Sync {
    /// What was told before `at` has arrived.
    fn heard(&self, at: Instant);
    /// The session at `key` was changed.
    fn changed(&self, key: &StoreKey, change: Change);
    /// Changes may have been missed.
    fn lost(&self);
}

impl Audience for Changes {
    fn heard(&self, at: Instant) {
        Self::heard(self, at);
    }

    fn changed(&self, key: &StoreKey, change: Change) {
        Self::changed(self, key, change);
    }

    fn lost(&self) {
        Self::lost(self);
    }
}

/// Listens for ever.
pub(super) async fn listen(link: &Link, audience: &dyn Audience) {
    let beats = format!("cloakroom:beat:{:032x}", Holder::random().0);
    let mut settings = link.topology.watch();
    let mut vain = 0;
    for turn in 0_usize.. {
        let marks = Marks::new();
        sleep(BACKOFF[vain.min(BACKOFF.len() - 1)]).await;
        vain += 1;
        settings.mark_unchanged();
        let (at, messages) = match subscribe(link, turn, &beats).await {
            Ok(subscribed) => subscribed,
            Err(error) => {
                tracing::debug!(error, "changes of other replicas are not heard");
                continue;
            }
        };
        // What was told between the last subscription and this one has been missed.
        audience.lost();
        let (pending, sent, proven) = Default::default();
        let mut subscription =
            Subscription { link, audience, at: &at, beats: &beats, marks: &marks, pending, sent, proven };
        let why = tokio::select! {
            why = subscription.attend(messages) => why,
            _ = settings.changed() => "the credentials have changed",
        };
        if subscription.proven.is_some() {
            vain = 0;
            tracing::warn!(server = %at, why, "changes of other replicas are not heard for a moment");
        }
        audience.lost();
    }
}

async fn subscribe(
    link: &Link,
    turn: usize,
    beats: &str,
) -> Result<(RedisAddress, impl Stream<Item = Msg> + Unpin + use<>), String> {
    let settings = link.topology.settings();
    let by = deadline();
    if matches!(settings.config.servers, RedisServers::Sentinel { .. }) {
        // A failure here shows in what follows.
        let _ = link.topology.renew(&settings, link, None, by).await;
    }
    let nodes = link.primaries(by).await.map_err(|error| error.to_string())?;
    let at = nodes.get(turn % nodes.len().max(1)).ok_or("there is no server to listen at")?.clone();
    let client = settings.server(&at)?;
    let made = timeout(SUBSCRIBING, async {
        let mut channel = client.get_async_pubsub().await?;
        channel.subscribe(&[CHANGES, beats]).await?;
        Ok(channel.into_on_message())
    });
    let messages = made.await.map_err(|_| "no answer in time".to_owned())?;
    Ok((at, messages.map_err(|error| explain(&error, &settings))?))
}

/// One subscription, as long as it lasts.
struct Subscription<'l> {
    link: &'l Link,
    audience: &'l dyn Audience,
    at: &'l RedisAddress,
    beats: &'l str,
    marks: &'l Marks,
    /// The beats that have not come back from everywhere, the latest first.
    pending: VecDeque<Beat>,
    /// How many were sent.
    sent: usize,
    /// Until when everything that was told has arrived.
    proven: Option<Instant>,
}

struct Beat {
    number: usize,
    sent: Instant,
    /// From whom it has not come back.
    missing: Vec<RedisAddress>,
}

impl Subscription<'_> {
    /// Hears what comes until something is wrong, and says what.
    async fn attend(&mut self, mut messages: impl Stream<Item = Msg> + Unpin) -> &'static str {
        let mut ticks = interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sending = FuturesUnordered::new();
        let begun = Instant::now();
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => self.take_in(&message),
                    None => return "the connection broke",
                },
                _ = ticks.tick() => {
                    if self.proven.unwrap_or(begun).elapsed() > PATIENCE {
                        return "no beat came back";
                    }
                    let (link, at, beats, marks) = (self.link, self.at, self.beats, self.marks);
                    let (number, servers) = self.next_beat();
                    let watched = number.is_multiple_of(WATCH).then_some(at);
                    sending.push(async move {
                        let beats = join_all(servers.iter().map(|server| publish(link, beats, number, server)));
                        let stand = join_all(servers.iter().map(|server| marks.stands(link, number, server)));
                        let (_, stand) = tokio::join!(beats, stand);
                        (still_primary(link, watched).await, stand.into_iter().all(|stands| stands))
                    });
                }
                Some((stays, stand)) = sending.next(), if !sending.is_empty() => match (stays, stand) {
                    (true, true) => {}
                    (false, _) => return "the primary is another one",
                    (true, false) => return "a server was emptied",
                },
            }
        }
    }

    /// Notes a beat, for those who shall publish it.
    fn next_beat(&mut self) -> (usize, Vec<RedisAddress>) {
        let servers = self.link.topology.known();
        self.sent += 1;
        self.pending.push_front(Beat { number: self.sent, sent: Instant::now(), missing: servers.clone() });
        self.pending.truncate(AWAITED);
        (self.sent, servers)
    }

    /// Takes in one message: a change, or a beat that came back.
    fn take_in(&mut self, message: &Msg) {
        let payload = message.get_payload_bytes();
        if message.get_channel_name() != self.beats {
            if let Some((key, change)) = change(payload) {
                self.audience.changed(&key, change);
            }
            return;
        }
        let Some((number, from)) = std::str::from_utf8(payload).ok().and_then(|text| text.split_once(' ')) else {
            return;
        };
        let Some(place) = self.pending.iter().position(|beat| beat.number.to_string() == number) else { return };
        let Some(beat) = self.pending.get_mut(place) else { return };
        beat.missing.retain(|server| server.to_string() != from);
        if beat.missing.is_empty() {
            let sent = beat.sent;
            // Earlier ones prove less.
            self.pending.truncate(place);
            self.proven = Some(sent);
            self.audience.heard(sent);
        }
    }
}

/// A failure is a beat that does not come back.
async fn publish(link: &Link, channel: &str, number: usize, server: &RedisAddress) {
    let beat = Request::at(server, "PUBLISH").arg(channel).arg(format!("{number} {server}"));
    let _ = link.send::<u64>(&beat, deadline()).await;
}

/// Whether the sentinels still name `watched`. A primary that was cut off from them goes on answering us.
async fn still_primary(link: &Link, watched: Option<&RedisAddress>) -> bool {
    let settings = link.topology.settings();
    let (Some(watched), RedisServers::Sentinel { .. }) = (watched, &settings.config.servers) else { return true };
    let _ = link.topology.renew(&settings, link, None, deadline()).await;
    link.topology.known().first() == Some(watched)
}
