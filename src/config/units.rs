//! Durations such as `"30m"` and sizes such as `"10MiB"`: a whole number and its unit, nothing implied.

use std::num::NonZeroU32;
use std::time::Duration;

use super::fault::Wrong;
use super::{Budget, Rate};

/// A whole number and `ms`, `s`, `m`, `h` or `d`.
pub(super) fn duration(text: &str) -> Result<Duration, Wrong> {
    let (number, unit) = split(text);
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(not_a_duration(text)),
    };
    let number: u64 = number.parse().map_err(|_| not_a_duration(text))?;
    let millis = number.checked_mul(millis).ok_or_else(|| not_a_duration(text))?;
    Ok(Duration::from_millis(millis))
}

/// A whole number and `B`, `KiB`, `MiB` or `GiB`.
pub(super) fn size(text: &str) -> Result<u64, Wrong> {
    let (number, unit) = split(text);
    let bytes: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(not_a_size(text)),
    };
    let number: u64 = number.parse().map_err(|_| not_a_size(text))?;
    number.checked_mul(bytes).ok_or_else(|| not_a_size(text))
}

/// `COUNT/s`, `/m` or `/h`, and what may come at once when it is not the count: `50/s burst 200`.
pub(super) fn rate(text: &str) -> Result<Rate, Wrong> {
    let (rate, burst) = text.split_once(" burst ").map_or((text, None), |(rate, burst)| (rate, Some(burst)));
    let parsed = per(rate).and_then(|(count, period)| {
        let burst = burst.map_or(Some(count), |burst| burst.parse().ok())?;
        Some(Rate { count, period, burst })
    });
    parsed
        .ok_or_else(|| Wrong::new(format!("{text:?} is not a rate"), "write \"50/s\", \"600/m burst 50\", or \"off\""))
}

/// `COUNT/s`, `/m` or `/h`; nothing is saved up for later, since the other side does not count that way.
pub(super) fn budget(text: &str) -> Result<Budget, Wrong> {
    let remedy = "write \"60/min\", \"10/s\", \"1000/h\", or \"off\"";
    let parsed = per(text).map(|(count, period)| Budget { count, period });
    parsed.ok_or_else(|| Wrong::new(format!("{text:?} is not a budget"), remedy))
}

/// A count and the time it is for.
fn per(text: &str) -> Option<(NonZeroU32, Duration)> {
    let (count, unit) = text.split_once('/')?;
    let seconds = match unit {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        _ => return None,
    };
    Some((count.parse().ok()?, Duration::from_secs(seconds)))
}

/// The duration as an operator would write it.
pub(super) fn in_words(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if millis >= size && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    if millis == 0 { "0s".to_owned() } else { format!("{millis}ms") }
}

/// The size as an operator would write it.
pub(super) fn size_in_words(bytes: u64) -> String {
    for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= size && bytes.is_multiple_of(size) {
            return format!("{}{unit}", bytes / size);
        }
    }
    format!("{bytes}B")
}

fn split(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(digits)
}

fn not_a_duration(text: &str) -> Wrong {
    Wrong::new(
        format!("{text:?} is not a duration"),
        "write a whole number and ms, s, m, h or d, such as \"250ms\", \"30m\" or \"12h\"",
    )
}

fn not_a_size(text: &str) -> Wrong {
    Wrong::new(
        format!("{text:?} is not a size"),
        "write a whole number and B, KiB, MiB or GiB, such as \"10MiB\"; units of 1000 are not used",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_whole_number_and_a_unit() {
        for (text, millis) in [("250ms", 250), ("0s", 0), ("30m", 1_800_000), ("12h", 43_200_000), ("7d", 604_800_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "30", "m", "1.5h", "-1s", "+1s", "30 m", "1h30m", "30M", "99999999999999999999d", "٣s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_a_whole_number_and_a_binary_unit() {
        for (text, bytes) in [("0B", 0), ("1KiB", 1024), ("10MiB", 10_485_760), ("2GiB", 2_147_483_648)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "10", "10MB", "10M", "1.5MiB", "-1B", "99999999999GiB", "10mib"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_is_said_in_its_largest_whole_unit() {
        for text in ["0B", "1023B", "64KiB", "1025KiB", "10MiB", "2GiB"] {
            assert_eq!(size_in_words(size(text).expect("is a size")), text);
        }
    }

    #[test]
    fn a_duration_is_said_in_its_largest_whole_unit() {
        for text in ["0s", "250ms", "90s", "30m", "12h", "7d"] {
            assert_eq!(in_words(duration(text).expect("is a duration")), text);
        }
    }
}
