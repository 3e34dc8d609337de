//! What a refusal of the API means, and what of it the browser gets.

use serde_json::{Map, Value};

use super::cleanse::cleanse;
use crate::config::JsonPointer;
use crate::provider::Refreshed;
use crate::provider::back_channel::Answer;

/// A login that the API refused, in its own words: nothing else of its answer reaches the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// From 400 to 499.
    pub status: u16,
    /// A JSON object without anything that could be a token; an empty one where the API sent none.
    pub body: String,
    /// `Retry-After` in seconds, of a 429.
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// The refusal in `answer`, if it is one that is meant for the user.
    pub(super) fn read(answer: &Answer, token_places: &[&JsonPointer]) -> Option<Self> {
        // About the connection and the gateway's own request; browsers would act on some of them by themselves.
        let is_ours = matches!(answer.status, 407 | 408 | 421 | 425 | 426 | 431);
        if !(400..=499).contains(&answer.status) || is_ours {
            return None;
        }
        let mut said = Value::Object(answer.json().unwrap_or_else(|_| Map::new()));
        cleanse(&mut said, token_places);
        let retry_after = answer.pause.map(|pause| pause.as_secs());
        Some(Self { status: answer.status, body: said.to_string(), retry_after })
    }
}

/// What a refresh came to that was answered with another status than a success. 401 is about the token and nothing else;
/// other words of that kind count if the API said them itself, in JSON, and not what stands in front of it.
pub(super) fn of_refresh(answer: &Answer) -> Refreshed {
    match answer.pause {
        Some(pause) => Refreshed::Throttled(pause),
        None => judged(answer.status, answer.json().is_ok()),
    }
}

fn judged(status: u16, is_json: bool) -> Refreshed {
    let reason = format!("the refresh endpoint answered {status}");
    match status {
        401 => Refreshed::Rejected(reason),
        400 | 403 | 410 | 422 if is_json => Refreshed::Rejected(reason),
        400 | 403 | 408 | 410 | 422 | 425 | 500.. => Refreshed::Unavailable(reason),
        // Another endpoint than it was taken for: repeating it will not help, an operator must look.
        _ => Refreshed::Misconfigured(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_of_a_refresh_is_whose_fault_it_is() {
        for (status, is_json, expected) in [
            (401, true, "rejected"),
            (401, false, "rejected"),
            (422, true, "rejected"),
            (403, true, "rejected"),
            (403, false, "unavailable"),
            (500, true, "unavailable"),
            (503, false, "unavailable"),
            (408, false, "unavailable"),
            (404, true, "misconfigured"),
            (405, true, "misconfigured"),
            (419, true, "misconfigured"),
            (302, false, "misconfigured"),
        ] {
            let found = match judged(status, is_json) {
                Refreshed::Rejected(_) => "rejected",
                Refreshed::Unavailable(_) => "unavailable",
                Refreshed::Misconfigured(_) => "misconfigured",
                Refreshed::Tokens(_) | Refreshed::Unknown(_) | Refreshed::Throttled(_) => "something else",
            };
            assert_eq!(found, expected, "{status} {is_json}");
        }
    }
}
