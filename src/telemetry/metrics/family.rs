//! Families of series: atomics that are found by their labels once and then only added to.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One metric: a name, its meaning, and a series for each combination of its labels' values.
pub struct Family<S, const LABELS: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; LABELS],
    series: Mutex<BTreeMap<[String; LABELS], Arc<S>>>,
}

impl<S: Series, const LABELS: usize> Family<S, LABELS> {
    /// A family without series.
    pub(super) const fn new(name: &'static str, help: &'static str, labels: [&'static str; LABELS]) -> Self {
        Self { name, help, labels, series: Mutex::new(BTreeMap::new()) }
    }

    /// The series with these values; hold on to it where every nanosecond counts.
    pub fn with(&self, values: [&str; LABELS]) -> Arc<S> {
        Arc::clone(self.lock().entry(values.map(str::to_owned)).or_default())
    }

    /// A panic elsewhere cannot leave this half written.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<[String; LABELS], Arc<S>>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<const LABELS: usize> Family<Gauge, LABELS> {
    /// Replaces every series: what is not among `rows` is gone.
    pub fn replace(&self, rows: impl IntoIterator<Item = ([String; LABELS], u64)>) {
        let series = |(values, value)| (values, Arc::new(Gauge(AtomicU64::new(value))));
        *self.lock() = rows.into_iter().map(series).collect();
    }
}

/// Goes up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts `more`.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }
}

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// It is `value` now.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// One more, for as long as what is returned lives.
    #[must_use]
    pub fn hold(self: Arc<Self>) -> Held {
        self.0.fetch_add(1, Ordering::Relaxed);
        Held(self)
    }
}

/// One of those that a gauge counts.
#[derive(Debug)]
pub struct Held(Arc<Gauge>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The upper bounds of a histogram's buckets in milliseconds, and as they are written.
const BUCKETS: [(u64, &str); 9] = [
    (25, "0.025"),
    (50, "0.05"),
    (100, "0.1"),
    (250, "0.25"),
    (500, "0.5"),
    (1_000, "1"),
    (2_500, "2.5"),
    (5_000, "5"),
    (10_000, "10"),
];

/// How long something took.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Observations by bucket, not cumulated; the last one is everything above.
    buckets: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
}

impl Histogram {
    /// Counts one that took this long.
    pub fn observe(&self, took: Duration) {
        let bucket = BUCKETS.iter().position(|(bound, _)| took <= Duration::from_millis(*bound));
        self.buckets[bucket.unwrap_or(BUCKETS.len())].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// What a family consists of.
pub trait Series: Default {
    /// The word after `# TYPE`.
    const KIND: &'static str;

    /// Writes the samples; `labels` is what stands in braces, without them.
    fn samples(&self, name: &str, labels: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result;
}

impl Series for Counter {
    const KIND: &'static str = "counter";

    fn samples(&self, name: &str, labels: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        sample(name, labels, self.0.load(Ordering::Relaxed), out)
    }
}

impl Series for Gauge {
    const KIND: &'static str = "gauge";

    fn samples(&self, name: &str, labels: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        sample(name, labels, self.0.load(Ordering::Relaxed), out)
    }
}

impl Series for Histogram {
    const KIND: &'static str = "histogram";

    fn samples(&self, name: &str, labels: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut total = 0;
        for (bucket, bound) in self.buckets.iter().zip(BUCKETS.map(|(_, text)| text).into_iter().chain(["+Inf"])) {
            total += bucket.load(Ordering::Relaxed);
            writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {total}")?;
        }
        let micros = self.micros.load(Ordering::Relaxed);
        sample(&format!("{name}_sum"), labels, format_args!("{}.{:06}", micros / 1_000_000, micros % 1_000_000), out)?;
        sample(&format!("{name}_count"), labels, total, out)
    }
}

fn sample(name: &str, labels: &str, value: impl fmt::Display, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    if labels.is_empty() { writeln!(out, "{name} {value}") } else { writeln!(out, "{name}{{{labels}}} {value}") }
}

/// A family whose series do not matter to whoever writes it.
pub(super) trait Render {
    fn render(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// A family in the text format.
pub(super) struct Text<'a>(pub(super) &'a dyn Render);

impl fmt::Display for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.render(out)
    }
}

impl<S: Series, const LABELS: usize> Render for Family<S, LABELS> {
    fn render(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let series = self.lock();
        writeln!(out, "# HELP {} {}\n# TYPE {} {}", self.name, self.help, self.name, S::KIND)?;
        for (values, one) in series.iter() {
            let mut labels = String::new();
            for (label, value) in self.labels.iter().zip(values) {
                let comma = if labels.is_empty() { "" } else { "," };
                write!(labels, "{comma}{label}=\"{}\"", escaped(value))?;
            }
            one.samples(self.name, &labels, out)?;
        }
        Ok(())
    }
}

/// A label's value as the text format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_written_in_order_with_their_labels_escaped() {
        static FAMILY: Family<Counter, 2> = Family::new("a_total", "Help.", ["site", "word"]);
        FAMILY.with(["b", "x"]).add(2);
        FAMILY.with(["a", "\"\\\n"]).add(1);
        FAMILY.with(["b", "x"]).add(1);
        let expected = "# HELP a_total Help.\n# TYPE a_total counter\n\
                        a_total{site=\"a\",word=\"\\\"\\\\\\n\"} 1\na_total{site=\"b\",word=\"x\"} 3\n";
        assert_eq!(Text(&FAMILY).to_string(), expected);
    }

    #[test]
    fn buckets_are_cumulative_and_the_last_one_holds_everything() {
        static FAMILY: Family<Histogram, 1> = Family::new("h_seconds", "Help.", ["site"]);
        for millis in [25, 26, 1_500, 60_000] {
            FAMILY.with(["a"]).observe(Duration::from_millis(millis));
        }
        let text = Text(&FAMILY).to_string();
        for line in [
            "h_seconds_bucket{site=\"a\",le=\"0.025\"} 1",
            "h_seconds_bucket{site=\"a\",le=\"0.05\"} 2",
            "h_seconds_bucket{site=\"a\",le=\"2.5\"} 3",
            "h_seconds_bucket{site=\"a\",le=\"10\"} 3",
            "h_seconds_bucket{site=\"a\",le=\"+Inf\"} 4",
            "h_seconds_sum{site=\"a\"} 61.551000",
            "h_seconds_count{site=\"a\"} 4",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_replaced_gauge_forgets_what_it_is_not_told_again() {
        static FAMILY: Family<Gauge, 1> = Family::new("g", "Help.", ["key"]);
        FAMILY.with(["old"]).set(3);
        FAMILY.replace([(["new".to_owned()], 5)]);
        assert_eq!(Text(&FAMILY).to_string(), "# HELP g Help.\n# TYPE g gauge\ng{key=\"new\"} 5\n");
    }
}
