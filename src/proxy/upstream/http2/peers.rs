//! Which HTTP/2 connection a call takes: one with room, the one that is being opened, or one of its own.
//!
//! Calls never queue behind each other: where no connection has room, another one is opened, so that there are never more
//! of them than calls, of which each route has its own limit. Only while a connection is being opened do those calls wait
//! for it that will probably fit, and they share its failure.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use tokio::sync::watch;

use super::super::connect::Place;
use super::session::{MOST, Seat, Session};

/// The HTTP/2 connections of one worker thread.
#[derive(Default)]
pub(in super::super) struct Peers(RefCell<Vec<Peer>>);

/// What is known of one upstream.
struct Peer {
    place: Arc<Place>,
    /// The oldest first: what is not needed stays unused, and goes.
    sessions: Vec<Rc<Session>>,
    /// The connections that are being opened.
    openings: Vec<Weak<Opening>>,
    /// How many calls the next connection will carry, going by the last: one if that was HTTP/1.1.
    most: usize,
}

/// A connection that is being opened: why it failed, if it did. Dropped by whoever opens it when that is over.
pub(in super::super) type Opening = watch::Sender<Option<String>>;

/// What a call without a connection does.
pub(in super::super) enum Way {
    /// Wait for this one, then look again.
    Wait(watch::Receiver<Option<String>>),
    /// Open one.
    Open(Rc<Opening>),
}

impl Peers {
    /// A place on an open connection, if there is one.
    pub(in super::super) fn seat(&self, place: &Arc<Place>) -> Option<Seat> {
        self.0.borrow().iter().find(|peer| peer.is_at(place))?.sessions.iter().find_map(Session::seat)
    }

    /// How a call gets a connection that is not open yet.
    pub(in super::super) fn way(&self, place: &Arc<Place>) -> Way {
        self.with(place, |peer| {
            peer.openings.retain(|opening| opening.strong_count() > 0);
            let underway = peer.openings.iter().filter_map(Weak::upgrade);
            // Whoever opens it has a call as well.
            if let Some(opening) = underway.into_iter().find(|opening| opening.receiver_count() + 1 < peer.most) {
                return Way::Wait(opening.subscribe());
            }
            let opening = Rc::new(Opening::new(None));
            peer.openings.push(Rc::downgrade(&opening));
            Way::Open(opening)
        })
    }

    /// A connection has been opened that several calls can share.
    pub(in super::super) fn add(&self, place: &Arc<Place>, session: Rc<Session>) {
        self.with(place, |peer| {
            peer.most = session.most();
            peer.sessions.push(session);
        });
    }

    /// One has been opened that carries one call at a time.
    pub(in super::super) fn is_http1(&self, place: &Arc<Place>) {
        self.with(place, |peer| peer.most = 1);
    }

    /// Takes a connection away; calls that it carries keep it open until they end.
    pub(super) fn retire(&self, session: &Weak<Session>) {
        for peer in self.0.borrow_mut().iter_mut() {
            peer.sessions.retain(|known| !std::ptr::eq(Rc::as_ptr(known), session.as_ptr()));
        }
    }

    fn with<T>(&self, place: &Arc<Place>, change: impl FnOnce(&mut Peer) -> T) -> T {
        let mut peers = self.0.borrow_mut();
        let at = peers.iter().position(|peer| peer.is_at(place)).unwrap_or_else(|| {
            let (sessions, openings) = (Vec::new(), Vec::new());
            peers.push(Peer { place: Arc::clone(place), sessions, openings, most: MOST });
            peers.len() - 1
        });
        change(&mut peers[at])
    }
}

impl Peer {
    fn is_at(&self, place: &Arc<Place>) -> bool {
        Arc::ptr_eq(&self.place, place) || self.place == *place
    }
}
