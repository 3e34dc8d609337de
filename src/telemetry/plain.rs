//! Text that others chose, made fit for one line of a log or a terminal.

/// `text` as one line: its line breaks become spaces, and what else steers a terminal becomes U+FFFD.
#[must_use]
pub fn plain(text: &str) -> String {
    let lines = text.split(breaks_lines).filter(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join(" ");
    line.chars().map(|one| if steers_terminals(one) { char::REPLACEMENT_CHARACTER } else { one }).collect()
}

/// The same with at most `most` characters, and an ellipsis where more stood.
#[must_use]
pub fn plain_start(text: &str, most: usize) -> String {
    let mut shown = plain(text);
    if let Some((end, _)) = shown.char_indices().nth(most) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

/// Whether a terminal takes the character for a command, or turns the words around it.
#[must_use]
pub fn steers_terminals(one: char) -> bool {
    let turns = matches!(one, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || one.is_control() || breaks_lines(one)
}

/// The mandatory breaks of Unicode Standard Annex #14.
const fn breaks_lines(one: char) -> bool {
    matches!(one, '\n'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_the_line_or_reaches_the_terminal() {
        assert_eq!(plain("one\r\ntwo\u{2028}three\u{85}four\n"), "one two three four");
        assert_eq!(plain("\u{1b}[2J \u{9b}2J \u{202e}ab\u{7f}"), "\u{fffd}[2J \u{fffd}2J \u{fffd}ab\u{fffd}");
        assert_eq!(plain("Zoë — ☃"), "Zoë — ☃");
    }

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!(plain_start("äöü", 3), "äöü");
        assert_eq!(plain_start("äöüß", 3), "äöü…");
    }
}
