//! Finds the word that someone meant to write.

/// The nearest of `words`, if it is near enough to be a slip of the fingers: `-` for `_`, or one change in three letters.
pub(super) fn nearest<'w>(written: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let written = written.to_ascii_lowercase().replace('-', "_");
    let budget = (written.chars().count() / 3).clamp(1, 3);
    words
        .map(|word| (distance(&written, word), word))
        .filter(|(distance, _)| *distance <= budget)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// The number of letters to add, drop, change or swap with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_fingers_finds_its_word() {
        let words = ["upstream", "strip_prefix", "path", "auth"];
        for (written, meant) in
            [("upstraem", "upstream"), ("strip-prefix", "strip_prefix"), ("Path", "path"), ("upstreams", "upstream")]
        {
            assert_eq!(nearest(written, words.into_iter()), Some(meant), "{written}");
        }
        assert_eq!(nearest("colour", words.into_iter()), None);
    }
}
