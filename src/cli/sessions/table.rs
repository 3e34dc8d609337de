//! Sessions and keys as people read them: aligned columns, times seen from now.

use crate::app::{KeyCount, ListedSession};
use crate::telemetry::plain_start;

/// The longest cell; a subject may be anything a provider thinks of.
const WIDEST: usize = 48;

/// The lines of a list of sessions, at `now` in seconds since the Unix epoch.
pub(super) fn of_sessions(sessions: &[ListedSession], now: u64) -> Vec<String> {
    let head = ["SITE", "SESSION", "SUBJECT", "PROVIDER", "LOGIN", "LAST SEEN", "ENDS", "TOKEN", "GENERATION", "KEY"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(sessions.iter().map(|one| {
        [
            cell(&one.site),
            cell(&one.session),
            cell(&one.subject),
            cell(&one.provider),
            from_now(one.created_at, now),
            from_now(one.last_seen, now),
            from_now(one.ends_at, now),
            from_now(one.token_until, now),
            one.generation.to_string(),
            cell(&one.key),
        ]
    }));
    aligned(&rows)
}

/// The lines of a list of keys.
pub(super) fn of_keys(keys: &[KeyCount]) -> Vec<String> {
    let mut rows = vec![["SITE", "KEY", "ROLE", "LIVE SESSIONS"].map(str::to_owned)];
    rows.extend(keys.iter().map(|count| {
        let role = if count.seals { "seals" } else { "opens" };
        [cell(&count.site), cell(&count.key), role.to_owned(), count.sessions.to_string()]
    }));
    aligned(&rows)
}

fn aligned<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let line = |row: &[String; COLUMNS]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Text that others chose, made harmless for a terminal and not too long for a line.
fn cell(text: &str) -> String {
    plain_start(text, WIDEST)
}

fn from_now(at: u64, now: u64) -> String {
    if at > now { format!("in {}", span(at - now)) } else { format!("{} ago", span(now - at)) }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_times_seen_from_now() {
        let session = |subject: &str| ListedSession {
            site: "https://one.example".into(),
            session: "abc".into(),
            subject: subject.into(),
            provider: "main".into(),
            created_at: 1_000,
            last_seen: 4_000,
            ends_at: 44_200,
            token_until: 4_059,
            generation: 1,
            key: "k".into(),
        };
        let lines = of_sessions(&[session("ada"), session("a\u{1b}[2Jlonger")], 4_001);
        let [head, first, second] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!(head.find("PROVIDER"), first.find("main"));
        assert!(first.contains("50m ago") && first.contains("1s ago") && first.contains("in 11h09m"), "{first}");
        assert!(first.contains("in 58s") && !second.contains('\u{1b}'), "{first}\n{second}");
    }

    #[test]
    fn a_long_subject_is_cut() {
        assert_eq!(cell(&"ä".repeat(100)).chars().count(), WIDEST + 1);
    }
}
