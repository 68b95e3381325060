//! Durations and sizes as people write them.

use std::time::Duration;

/// Units of time, in nanoseconds, longest first.
const TIME: [(&str, u128); 5] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

/// Units of size, in bytes, largest first.
const SIZE: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Longest duration there is, in seconds: a hundred years. More is a typing error, and would overflow elsewhere.
const SECONDS_MAX: f64 = 100.0 * 366.0 * 86_400.0;

/// Reads `90`, `2.5`, `500ms`, `30s`, `5m`, `4h`, `1d`, `1h30m` or `1h 30m`; a bare number is seconds.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    if let Some(seconds) = decimal(text) {
        return (seconds <= SECONDS_MAX).then(|| Duration::from_secs_f64(seconds));
    }
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, tail) = rest.split_at_checked(unit_at)?;
        let unit_len = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_len)?;
        total += decimal(number.trim_end())? * seconds_of(unit)?;
        rest = tail.trim_start();
    }
    (total <= SECONDS_MAX).then(|| Duration::from_secs_f64(total))
}

/// Digits with at most one point; no sign, no exponent.
fn decimal(text: &str) -> Option<f64> {
    let is_decimal = text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_decimal { text.parse().ok() } else { None }
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "ms" => 0.001,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    })
}

/// Writes a duration as [`parse_duration`] reads it, in the largest units it is whole in.
pub(super) fn write_duration(duration: Duration) -> String {
    let mut nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    if nanos > 1_000_000_000 && nanos < 60_000_000_000 {
        return format!("{}s", duration.as_secs_f64());
    }
    let mut text = String::new();
    for (unit, size) in TIME {
        if nanos >= size {
            text.push_str(&format!("{}{unit}", nanos / size));
            nanos %= size;
        }
    }
    text
}

/// Reads `4096`, `64KiB`, `16 MiB` or `1GiB`; `K`, `KB`, `M`, `MB`, `G` and `GB` mean the same powers of two.
pub(super) fn parse_bytes(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let size: usize = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(size)
}

/// Writes a number of bytes in the largest unit it is whole in.
pub(super) fn write_bytes(bytes: f64) -> String {
    for (unit, size) in SIZE {
        #[expect(clippy::cast_precision_loss, reason = "powers of two up to 2^30 are exact")]
        let size = size as f64;
        if bytes >= size && bytes % size == 0.0 {
            return format!("{}{unit}", bytes / size);
        }
    }
    bytes.to_string()
}
