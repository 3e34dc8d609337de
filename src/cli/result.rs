//! Where results and failures go, each made plain: what others chose in them must neither break a line nor steer a terminal.

use std::fmt::{Display, Write as _};
use std::io::{self, ErrorKind, Write as _};

use serde::Serialize;

use crate::telemetry::{plain, steers_terminals};

/// It did not work out, and standard error says why.
pub(super) struct Failed;

impl Failed {
    /// Says why, in one line.
    pub(super) fn because(why: impl Display) -> Self {
        // Nobody is left to tell when standard error is gone.
        let _ = writeln!(io::stderr(), "cloakroom: {}", plain(&why.to_string()));
        Self
    }
}

/// One line, or several, of a result. A result that nobody has is a failure; a reader that has gone away knows it.
pub(super) fn say(line: &str) -> Result<(), Failed> {
    writeln!(io::stdout(), "{line}").map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failed,
        _ => Failed::because(format!("the result cannot be written: {error}")),
    })
}

/// Many lines of a result, written at once.
pub(super) fn say_all(lines: impl IntoIterator<Item = String>) -> Result<(), Failed> {
    let mut text: String = lines.into_iter().flat_map(|line| [line, "\n".to_owned()]).collect();
    if text.pop().is_some() { say(&text) } else { Ok(()) }
}

/// `value` as JSON on one line, where all that steers a terminal is escaped (RFC 8259 §7).
pub(super) fn json_line(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("results are text and numbers");
    let mut line = String::with_capacity(text.len());
    for one in text.chars() {
        if steers_terminals(one) {
            let _ = write!(line, "\\u{:04x}", u32::from(one));
        } else {
            line.push(one);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_without_steering_a_terminal() {
        let subject = "a\u{1b}[2J\u{9b}2J\u{202e}\u{2028}é";
        let line = json_line(&subject);
        assert!(!line.chars().any(steers_terminals), "{line:?}");
        assert_eq!(serde_json::from_str::<String>(&line).expect("it is JSON"), subject);
    }
}
