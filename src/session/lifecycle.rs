//! How long a session and its token live: a pure function of the record, the configured limits and now.

use std::time::Duration;

use super::record::Meta;
use super::store::EndReason;
use crate::clock::Timestamp;

/// A refresh starts when this part of the token's life is left, but at most [`EARLIEST_REFRESH`] before its end.
const EARLY_PART: u32 = 5;
const EARLIEST_REFRESH: Duration = Duration::from_secs(60);

/// Where another time is asked for, it starts no earlier than when this part is left: a token is to be fresh for a while.
const EARLIEST_PART: u32 = 2;

/// A token this close to its end is not sent any more, since it may expire on its way; never more than this part of its life.
/// Until then no request waits for the next one.
const TOO_LATE: Duration = Duration::from_secs(1);
const TOO_LATE_PART: u32 = 10;

/// Activity is written at most once per this part of the idle time, so idle may end up to this part early, never late.
const TOUCH_PART: u32 = 10;

/// What a session is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long it lives without activity.
    pub idle: Duration,
    /// How long before its end a token is replaced, where the configuration says so.
    pub refresh_before: Option<Duration>,
}

/// A session that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Until it ends without further activity.
    pub idle_left: Duration,
    /// Until it ends in any case.
    pub absolute_left: Duration,
    /// Whether activity now should be written.
    pub touch_due: bool,
    /// What to do about the access token.
    pub token: TokenLife,
}

/// The access token's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenLife {
    /// Good for use.
    Fresh,
    /// Good for use; a new one should be fetched beside it.
    Early,
    /// Too close to its end, or past it: a new one is needed first.
    Due,
}

/// Judges a session at `now`. The limits hold independently of each other, on the server alone.
///
/// # Errors
/// The reason, when the session is over: `Expired` past its absolute end, or with its token when that cannot be
/// refreshed; `Idle` without activity for the idle time.
pub fn judge(meta: &Meta, limits: Limits, now: Timestamp) -> Result<Life, EndReason> {
    let idle = limits.idle;
    let absolute_left = meta.ends_at.since(now);
    if absolute_left.is_zero() {
        return Err(EndReason::Expired);
    }
    let idle_left = meta.last_seen.plus(idle).since(now);
    if idle_left.is_zero() {
        return Err(EndReason::Idle);
    }
    let token_left = meta.token_until.since(now);
    if !meta.refreshable && token_left.is_zero() {
        return Err(EndReason::Expired);
    }
    Ok(Life {
        idle_left: idle_left.min(absolute_left),
        absolute_left,
        touch_due: now.since(meta.last_seen) >= idle / TOUCH_PART,
        token: token_life(meta, limits.refresh_before, token_left),
    })
}

/// When a session ends should nothing happen to it, and why.
#[must_use]
pub fn end(meta: &Meta, idle: Duration) -> (Timestamp, EndReason) {
    let fixed = if meta.refreshable { meta.ends_at } else { meta.ends_at.min(meta.token_until) };
    let idle_at = meta.last_seen.plus(idle);
    if idle_at < fixed { (idle_at, EndReason::Idle) } else { (fixed, EndReason::Expired) }
}

/// When activity should be written next.
#[must_use]
pub fn touch_due_at(meta: &Meta, idle: Duration) -> Timestamp {
    meta.last_seen.plus(idle / TOUCH_PART)
}

/// Whether the access token still works at `now`, however close its end: the last resort when no new one can be had.
#[must_use]
pub fn token_still_valid(meta: &Meta, now: Timestamp) -> bool {
    meta.token_until > now
}

/// How long until the access token is due.
#[must_use]
pub fn token_due_in(meta: &Meta, limits: Limits, now: Timestamp) -> Duration {
    meta.token_until.since(now).saturating_sub(too_late(meta, limits.refresh_before))
}

/// How close to its end a token counts as over; never so early that it would be replaced earlier than is asked for.
fn too_late(meta: &Meta, refresh_before: Option<Duration>) -> Duration {
    let too_late = TOO_LATE.min(meta.token_until.since(meta.token_since) / TOO_LATE_PART);
    refresh_before.map_or(too_late, |before| too_late.min(before))
}

fn token_life(meta: &Meta, refresh_before: Option<Duration>, left: Duration) -> TokenLife {
    if !meta.refreshable {
        return TokenLife::Fresh;
    }
    let whole = meta.token_until.since(meta.token_since);
    let early = match refresh_before {
        None => EARLIEST_REFRESH.min(whole / EARLY_PART),
        Some(before) => before.min(whole / EARLIEST_PART),
    };
    if left <= too_late(meta, refresh_before) {
        TokenLife::Due
    } else if left <= early {
        TokenLife::Early
    } else {
        TokenLife::Fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(1800);

    fn meta() -> Meta {
        Meta {
            provider: "main".into(),
            issuer: "https://id.example".into(),
            subject: "ada".into(),
            sid: None,
            created_at: Timestamp::from_secs(0),
            ends_at: Timestamp::from_secs(43_200),
            last_seen: Timestamp::from_secs(0),
            token_since: Timestamp::from_secs(0),
            token_until: Timestamp::from_secs(300),
            generation: 1,
            refreshable: true,
            pin: None,
            newer: serde_json::Map::new(),
        }
    }

    fn at(meta: &Meta, seconds: u64) -> Result<Life, EndReason> {
        judge(meta, Limits { idle: IDLE, refresh_before: None }, Timestamp::from_secs(seconds))
    }

    #[test]
    fn idle_and_absolute_end_a_session_independently() {
        assert_eq!(at(&meta(), 1799).unwrap().idle_left, Duration::from_secs(1));
        assert_eq!(at(&meta(), 1800), Err(EndReason::Idle));
        let busy = Meta { last_seen: Timestamp::from_secs(43_199), ..meta() };
        assert_eq!(at(&busy, 43_199).unwrap().absolute_left, Duration::from_secs(1));
        assert_eq!(at(&busy, 43_199).unwrap().idle_left, Duration::from_secs(1));
        assert_eq!(at(&busy, 43_200), Err(EndReason::Expired));
    }

    #[test]
    fn the_end_that_is_foretold_is_the_end_that_comes() {
        for meta in [
            meta(),
            Meta { last_seen: Timestamp::from_secs(43_000), ..meta() },
            Meta { refreshable: false, ..meta() },
            Meta { refreshable: false, token_until: Timestamp::from_secs(90_000), ..meta() },
        ] {
            let (ends_at, reason) = end(&meta, IDLE);
            assert!(at(&meta, ends_at.as_secs() - 1).is_ok());
            assert_eq!(at(&meta, ends_at.as_secs()), Err(reason));
        }
    }

    #[test]
    fn activity_is_written_once_per_tenth_of_the_idle_time() {
        assert!(!at(&meta(), 179).unwrap().touch_due);
        assert!(at(&meta(), 180).unwrap().touch_due);
    }

    #[test]
    fn a_token_is_renewed_early_and_not_used_at_its_very_end() {
        assert_eq!(at(&meta(), 239).unwrap().token, TokenLife::Fresh);
        assert_eq!(at(&meta(), 240).unwrap().token, TokenLife::Early);
        assert_eq!(at(&meta(), 298).unwrap().token, TokenLife::Early);
        assert_eq!(at(&meta(), 299).unwrap().token, TokenLife::Due);
        assert_eq!(at(&meta(), 500).unwrap().token, TokenLife::Due);
    }

    #[test]
    fn a_token_is_renewed_as_early_as_is_asked_for_and_is_fresh_for_half_its_life() {
        let token = |before, seconds| {
            let limits = Limits { idle: IDLE, refresh_before: Some(Duration::from_secs(before)) };
            judge(&meta(), limits, Timestamp::from_secs(seconds)).unwrap().token
        };
        for (before, fresh_until, early_until) in
            [(120, 179, 298), (600, 149, 298), (2, 297, 298), (1, 298, 298), (0, 299, 299)]
        {
            assert_eq!(token(before, fresh_until), TokenLife::Fresh, "{before}");
            if early_until > fresh_until {
                assert_eq!(token(before, fresh_until + 1), TokenLife::Early, "{before}");
                assert_eq!(token(before, early_until), TokenLife::Early, "{before}");
            }
            assert_eq!(token(before, early_until + 1), TokenLife::Due, "{before}");
        }
        let never_early = Limits { idle: IDLE, refresh_before: Some(Duration::ZERO) };
        assert_eq!(token_due_in(&meta(), never_early, Timestamp::from_secs(299)), Duration::from_secs(1));
    }

    #[test]
    fn a_short_token_still_has_a_time_when_it_is_fresh() {
        let short = Meta { token_until: Timestamp::from_secs(2), ..meta() };
        assert_eq!(at(&short, 0).unwrap().token, TokenLife::Fresh);
        assert_eq!(at(&short, 1).unwrap().token, TokenLife::Fresh);
        assert_eq!(at(&short, 2).unwrap().token, TokenLife::Due);
    }

    #[test]
    fn without_a_refresh_token_the_session_ends_with_its_access_token() {
        let fixed = Meta { refreshable: false, ..meta() };
        assert_eq!(at(&fixed, 299).unwrap().token, TokenLife::Fresh);
        assert_eq!(at(&fixed, 300), Err(EndReason::Expired));
    }
}
