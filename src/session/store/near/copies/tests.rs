//! What the copies promise by themselves: bounds, and the order of what they are told.

use bytes::Bytes;

use super::shard::{GENERATION, OVERHEAD};
use super::*;

const START: Timestamp = Timestamp::from_secs(1000);

struct Bench {
    copies: Copies,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { copies: Copies::default(), now: Instant::now() }
    }

    fn ticket(&self, number: u64) -> Ticket {
        Ticket { asked: self.now, vouched_by: Some(1), sequence: self.copies.sequence(&key(number)) }
    }

    fn live(&self, number: u64, stored: &Stored, ticket: Ticket) -> Kept {
        self.copies.live(&key(number), stored, START.plus(READ_AGAIN * 10), ticket)
    }

    fn near(&self, number: u64) -> Option<Loaded> {
        self.copies.near(&key(number), self.now, START, Some(1))
    }

    fn changed(&self, number: u64, change: Change) {
        self.copies.changed(&key(number), change, |_| Some(self.now));
    }

    fn held(&self) -> usize {
        let shards = self.copies.0.iter().map(|shard| shard.read().unwrap());
        shards.map(|shard| shard.young.len() + shard.old.len()).sum()
    }
}

fn key(number: u64) -> StoreKey {
    StoreKey::of(&[&number.to_be_bytes()])
}

fn stored(version: u64, size: usize) -> Stored {
    Stored { version, sealed: Bytes::from(vec![7; size]) }
}

#[test]
fn copies_never_take_more_than_two_generations_of_every_shard() {
    let bench = Bench::new();
    let size = 30 * 1024;
    for number in 0..8000 {
        bench.live(number, &stored(1, size), bench.ticket(number));
    }
    let held = bench.held() * (size + OVERHEAD);
    assert!(held <= 2 * SHARDS * GENERATION, "{held} bytes");
    assert!(held >= SHARDS * GENERATION, "{held} bytes are too few");
    assert!(bench.near(7999).is_some());
    bench.live(1, &stored(1, GENERATION), bench.ticket(1));
    assert_eq!(bench.near(1), None, "one record does not drive out all others");
}

#[test]
fn what_was_counted_is_what_is_held() {
    let bench = Bench::new();
    for number in 0..3000_u64 {
        let id = number % 700;
        bench.live(id, &stored(number, 100 + (number * 37 % 900) as usize), bench.ticket(id));
        if number % 11 == 0 {
            bench.copies.over(&key(id + 1), (number % 2 == 0).then_some(EndReason::Idle), bench.now);
        }
        if number % 400 == 0 {
            bench.copies.turn();
        }
    }
    for shard in &bench.copies.0 {
        let shard = shard.read().unwrap();
        assert_eq!(shard.young_bytes, shard.young.values().map(Copy::cost).sum::<usize>());
        assert!(shard.young.keys().all(|key| !shard.old.contains_key(key)), "nothing is held twice");
    }
}

#[test]
fn an_answer_that_was_outrun_neither_undoes_a_write_nor_an_end() {
    let bench = Bench::new();
    let early = bench.ticket(1);
    bench.live(1, &stored(2, 8), bench.ticket(1));
    assert_eq!(bench.live(1, &stored(1, 9), early), Kept::Fine);
    assert_eq!(bench.near(1), Some(Loaded::Live(stored(2, 8))));
    bench.copies.over(&key(1), Some(EndReason::Revoked), bench.now);
    assert_eq!(bench.live(1, &stored(2, 8), early), Kept::Over(EndReason::Revoked));
    assert_eq!(bench.near(1), Some(Loaded::Ended(EndReason::Revoked)));
}

#[test]
fn an_answer_under_way_when_a_change_is_heard_is_not_kept() {
    let bench = Bench::new();
    for change in [Change::Written(2), Change::Ended] {
        let early = bench.ticket(1);
        bench.changed(1, change);
        assert_eq!(bench.live(1, &stored(1, 8), early), Kept::Fine);
        assert_eq!(bench.near(1), None, "{change:?}");
    }
    bench.live(1, &stored(2, 8), bench.ticket(1));
    assert!(bench.near(1).is_some(), "an answer to a later question is");
}

#[test]
fn news_of_what_is_known_already_disturbs_nothing() {
    let bench = Bench::new();
    bench.live(1, &stored(3, 8), bench.ticket(1));
    for version in 1..=3 {
        bench.changed(1, Change::Written(version));
    }
    assert_eq!(bench.near(1), Some(Loaded::Live(stored(3, 8))));
    bench.changed(1, Change::Written(4));
    assert_eq!(bench.near(1), None);
}

#[test]
fn our_own_write_counts_even_when_its_echo_comes_before_its_answer() {
    let bench = Bench::new();
    bench.live(1, &stored(1, 8), bench.ticket(1));
    let ticket = bench.ticket(1);
    bench.changed(1, Change::Written(2));
    bench.copies.replaced(&key(1), 2, stored(2, 9).sealed, ticket);
    assert_eq!(bench.near(1), Some(Loaded::Live(stored(2, 9))));
    let ticket = bench.ticket(1);
    bench.changed(1, Change::Written(3));
    bench.changed(1, Change::Written(4));
    bench.copies.replaced(&key(1), 3, stored(3, 9).sealed, ticket);
    assert_eq!(bench.near(1), None, "but another's later write counts more");
}

#[test]
fn a_known_session_that_others_ended_is_not_live_again_by_an_old_answer() {
    let bench = Bench::new();
    bench.live(1, &stored(1, 8), bench.ticket(1));
    let early = bench.ticket(1);
    bench.changed(1, Change::Ended);
    assert_eq!(bench.near(1), None);
    assert_eq!(bench.live(1, &stored(1, 8), early), Kept::Outrun);
    assert!(bench.copies.recall(&key(1), START, |_| None).is_none(), "it does not bridge an outage either");
}

#[test]
fn what_nobody_saw_for_two_generations_takes_no_memory() {
    let bench = Bench::new();
    bench.live(1, &stored(1, 8), bench.ticket(1));
    bench.copies.turn();
    assert!(bench.near(1).is_some());
    bench.copies.turn();
    assert_eq!(bench.held(), 0);
}
