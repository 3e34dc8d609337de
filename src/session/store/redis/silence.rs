//! When to stop waiting for a server that does not answer: a pure function of what happened when.

use std::time::{Duration, Instant};

/// Rounds without any answer after which commands fail at once. Two, so that one hiccup changes nothing.
const ROUNDS: u32 = 2;

/// How long after the last vain wait one command may find out whether the server is back.
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// How long the server has been silent, in rounds: commands that overlap are one round, however many they are.
#[derive(Debug, Default)]
pub(super) struct Silence {
    rounds: u32,
    last: Option<Instant>,
    probed: Option<Instant>,
}

impl Silence {
    /// Whether a command may be sent. While the server is silent, one now and then is the probe.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        if self.rounds < ROUNDS {
            return true;
        }
        // Counted from the end of the last wait too, else callers that come one after the other would all be probes.
        let past =
            |moment: Option<Instant>| moment.is_none_or(|then| now.saturating_duration_since(then) >= PROBE_EVERY);
        let due = past(self.probed) && past(self.last);
        if due {
            self.probed = Some(now);
        }
        due
    }

    /// The command begun at `started` has waited in vain; true when the connection is not to be trusted any more.
    pub(super) fn waited(&mut self, started: Instant, now: Instant) -> bool {
        if self.last.is_none_or(|last| started >= last) {
            self.rounds = self.rounds.saturating_add(1);
            self.last = Some(now);
        }
        self.rounds >= ROUNDS
    }

    /// The server said something.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(250);

    #[test]
    fn a_single_hiccup_of_many_parallel_commands_changes_nothing() {
        let (mut silence, start) = (Silence::default(), Instant::now());
        for _ in 0..100 {
            assert!(!silence.waited(start, start + WAIT));
        }
        assert!(silence.admits(start + WAIT));
    }

    #[test]
    fn after_two_rounds_only_a_probe_goes_through_until_the_server_answers() {
        let (mut silence, start) = (Silence::default(), Instant::now());
        assert!(!silence.waited(start, start + WAIT));
        assert!(silence.waited(start + WAIT, start + 2 * WAIT));
        assert!(!silence.admits(start + 2 * WAIT));
        assert!(silence.admits(start + 3 * WAIT), "the probe");
        assert!(!silence.admits(start + 3 * WAIT), "is one");
        assert!(silence.waited(start + 3 * WAIT, start + 4 * WAIT));
        assert!(!silence.admits(start + 4 * WAIT), "and the next caller does not wait again");
        assert!(silence.admits(start + 5 * WAIT));
        silence.answered();
        assert!(silence.admits(start + 3 * WAIT) && silence.admits(start + 3 * WAIT));
    }
}
