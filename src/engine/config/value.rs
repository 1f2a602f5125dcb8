//! The values of scenario files: every quantity carries its unit.
//!
//! Each reader takes the whole text of a value and says what it expected when it can't use it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::scenario::{
    Arrival, Compression, Distribution, FsyncPolicy, OnOverrun, Retry, RetryPosition, Work,
};

/// What a value should have been.
pub(super) type Expected = String;

/// The result of reading a value.
pub(super) type Read<T> = Result<T, Expected>;

const SPANS: [(&str, f64); 6] =
    [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
/// The longest span: a year; longer ones are mistakes.
const SPAN_SECONDS_MAX: f64 = 366.0 * 86_400.0;

/// Splits a number from its unit.
fn split(text: &str) -> Option<(f64, &str)> {
    let end =
        text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let number: f64 = text[..end].replace('_', "").parse().ok()?;
    (number.is_finite()).then(|| (number, text[end..].trim_start()))
}

/// Reads a span in seconds, such as `20ms`.
pub(super) fn seconds(text: &str) -> Read<f64> {
    let expected = || "a span such as 20ms (units ns us ms s m h)".to_owned();
    let (number, unit) = split(text).ok_or_else(expected)?;
    let unit = if unit == "µs" { "us" } else { unit };
    let &(_, scale) = SPANS.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?;
    let seconds = number * scale;
    if seconds > SPAN_SECONDS_MAX {
        Err("a span of at most a year".to_owned())
    } else {
        Ok(seconds)
    }
}

/// Reads a span, such as `20ms`.
///
/// # Errors
/// What was expected instead.
pub fn span(text: &str) -> Result<Duration, String> {
    seconds(text).map(Duration::from_secs_f64)
}

/// Reads where something is served. A port alone is never seen from other machines; for that an
/// address has to be given in full.
pub(super) fn listen(text: &str) -> Read<Option<SocketAddr>> {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if text == "off" {
        return Ok(None);
    }
    let port = text.strip_prefix("localhost:").or(text.strip_prefix(':')).unwrap_or(text);
    let address = match port.parse() {
        Ok(port) => Some(loopback(port)),
        Err(_) => text.parse().ok(),
    };
    address.map(Some).ok_or_else(|| "off, or an address such as 127.0.0.1:9464".to_owned())
}

/// Reads a switch.
pub(super) fn on_off(text: &str) -> Read<bool> {
    word(text, &[("on", true), ("off", false)], &[])
}

/// Reads a span that may be without end.
pub(super) fn span_or_unlimited(text: &str) -> Read<Option<Duration>> {
    if text == "unlimited" {
        return Ok(None);
    }
    span(text).map(Some).map_err(|expected| format!("{expected}, or unlimited"))
}

/// Reads a whole number in a range.
pub(super) fn count(text: &str, low: u64, high: u64) -> Read<u64> {
    let number = text.replace('_', "").parse::<u64>().ok();
    number
        .filter(|number| (low..=high).contains(number))
        .ok_or_else(|| format!("a whole number from {low} to {high}"))
}

/// Reads a size in a range.
pub(super) fn size(text: &str, low: u64, high: u64) -> Read<u64> {
    let expected =
        || format!("a size from {} to {} (units B KiB MiB GiB)", show_size(low), show_size(high));
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..end].parse().map_err(|_| expected())?;
    let unit = text[end..].trim_start();
    let &(_, scale) = SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?;
    number.checked_mul(scale).filter(|size| (low..=high).contains(size)).ok_or_else(expected)
}

/// Reads how sealed segments are packed.
pub(super) fn compression(text: &str) -> Read<Compression> {
    match text {
        "none" => Ok(Compression::None),
        "lz4" => Ok(Compression::Lz4),
        "zstd" => Ok(Compression::Zstd),
        _ => Err("none, lz4 or zstd".to_owned()),
    }
}

/// Reads how much of the log is kept; `None` is all.
pub(super) fn retain(text: &str) -> Read<Option<u64>> {
    if text == "unlimited" {
        return Ok(None);
    }
    size(text, 1 << 20, 1 << 44).map(Some).map_err(|expected| expected + ", or unlimited")
}

/// Writes a size with the largest unit that divides it.
pub(super) fn show_size(bytes: u64) -> String {
    let unit =
        SIZES.iter().rev().find(|(_, scale)| bytes >= *scale && bytes.is_multiple_of(*scale));
    let (name, scale) = unit.copied().unwrap_or(("B", 1));
    format!("{}{name}", bytes / scale)
}

/// Reads a percentage as a ratio.
pub(super) fn percent(text: &str) -> Read<f64> {
    let expected = || "a percentage such as 30%".to_owned();
    let (number, unit) = split(text).ok_or_else(expected)?;
    let is_percentage = unit == "%" && number <= 100.0;
    is_percentage.then_some(number / 100.0).ok_or_else(expected)
}

/// Reads a rate per second, such as `160/s`.
///
/// # Errors
/// What was expected instead.
pub fn per_second(text: &str) -> Result<f64, String> {
    let expected = || "a rate above zero such as 160/s (units /s /min)".to_owned();
    let (number, unit) = split(text).ok_or_else(expected)?;
    let per_second = match unit {
        "/s" => number,
        "/min" => number / 60.0,
        _ => return Err(expected()),
    };
    if per_second > 0.0 && per_second <= crate::limits::RATE_MAX {
        Ok(per_second)
    } else {
        Err(expected())
    }
}

/// Names of distributions that the dialect has and this version does not.
const FUTURE_DISTRIBUTIONS: [&str; 4] = ["erlang", "gamma", "pareto", "file"];
/// Names of arrivals that the dialect has and this version does not.
const FUTURE_ARRIVALS: [&str; 4] = ["batch", "onoff", "sine", "trace"];

fn not_built(name: &str, future: &[&str], instead: &str) -> Option<Expected> {
    future.contains(&name).then(|| format!("{instead}; {name} is not built yet"))
}

/// Reads a distribution of spans.
pub(super) fn distribution(text: &str) -> Read<Distribution> {
    const EXPECTED: &str = "a distribution: exp 20ms, det 20ms, 20ms, uniform 10ms..30ms, \
                            uniform 20ms +-50%, lognormal 20ms cv 1.5 or hyperexp 89% 8ms, 11% 66ms";
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let above_zero = |seconds: f64| {
        if seconds > 0.0 { Ok(seconds) } else { Err("a mean above zero".to_owned()) }
    };
    match name {
        "exp" => Ok(Distribution::Exp(above_zero(seconds(rest)?)?)),
        "det" => Ok(Distribution::Det(seconds(rest)?)),
        "uniform" => uniform(rest),
        "lognormal" => lognormal(rest),
        "hyperexp" => hyperexp(rest),
        _ if name.starts_with(|c: char| c.is_ascii_digit()) => {
            Ok(Distribution::Det(seconds(text)?))
        }
        _ => {
            Err(not_built(name, &FUTURE_DISTRIBUTIONS, EXPECTED)
                .unwrap_or_else(|| EXPECTED.to_owned()))
        }
    }
}

fn uniform(text: &str) -> Read<Distribution> {
    let expected = || "uniform 10ms..30ms or uniform 20ms +-50%".to_owned();
    let (low, high) = if let Some((low, high)) = text.split_once("..") {
        (seconds(low.trim())?, seconds(high.trim())?)
    } else {
        let (middle, half) = text.split_once("+-").ok_or_else(expected)?;
        let (middle, half) = (seconds(middle.trim())?, percent(half.trim())?);
        (middle * (1.0 - half), middle * (1.0 + half))
    };
    if low <= high { Ok(Distribution::Uniform(low, high)) } else { Err(expected()) }
}

fn lognormal(text: &str) -> Read<Distribution> {
    let expected = || "lognormal 20ms cv 1.5, with a mean and a cv above zero".to_owned();
    let (mean, cv) = text.split_once("cv").ok_or_else(expected)?;
    let mean = seconds(mean.trim())?;
    let cv: f64 = cv.trim().parse().map_err(|_| expected())?;
    let is_valid = mean > 0.0 && cv > 0.0 && cv <= 100.0;
    is_valid.then_some(Distribution::Lognormal { mean, cv }).ok_or_else(expected)
}

fn hyperexp(text: &str) -> Read<Distribution> {
    let expected = || "hyperexp 89% 8ms, 11% 66ms, with shares that sum to 100%".to_owned();
    let branch = |text: &str| -> Read<(f64, f64)> {
        let (share, mean) = text.trim().split_once(char::is_whitespace).ok_or_else(expected)?;
        Ok((percent(share)?, seconds(mean.trim())?))
    };
    let branches = text.split(',').map(branch).collect::<Read<Vec<_>>>()?;
    let sum: f64 = branches.iter().map(|(share, _)| share).sum();
    let is_whole = (sum - 1.0).abs() < 1e-9 && branches.len() <= 16;
    let is_valid = is_whole && branches.iter().all(|&(_, mean)| mean > 0.0);
    is_valid.then_some(Distribution::Hyperexp(branches)).ok_or_else(expected)
}

/// Reads the arrivals of an open load.
pub(super) fn arrival(text: &str) -> Read<Arrival> {
    const EXPECTED: &str = "arrivals: poisson 160/s or det 160/s";
    let (name, rate) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    match name {
        "poisson" => Ok(Arrival::Poisson { per_second: per_second(rate.trim())? }),
        "det" => Ok(Arrival::Det { per_second: per_second(rate.trim())? }),
        _ => {
            Err(not_built(name, &FUTURE_ARRIVALS, EXPECTED).unwrap_or_else(|| EXPECTED.to_owned()))
        }
    }
}

/// Reads what a ticket's work consists of.
pub(super) fn work(text: &str) -> Read<Work> {
    match text.split_once(char::is_whitespace).unwrap_or((text, "")) {
        ("sleep", "") => Ok(Work::Sleep),
        ("spin", "") => Ok(Work::Spin),
        ("hash", "") => Ok(Work::Hash),
        ("io", "") => Ok(Work::Io { bytes: 64 << 10 }),
        ("io", bytes) => {
            let bytes = size(bytes.trim(), 1, 16 << 20)?;
            Ok(Work::Io { bytes: u32::try_from(bytes).expect("at most 16 MiB") })
        }
        _ => Err("sleep, spin, hash, io or io 64KiB".to_owned()),
    }
}

/// Reads when the log is synced.
pub(super) fn fsync(text: &str) -> Read<FsyncPolicy> {
    let expected = || "none, each_batch, every 8 or interval 50ms".to_owned();
    match text.split_once(char::is_whitespace).unwrap_or((text, "")) {
        ("none", "") => Ok(FsyncPolicy::None),
        ("each_batch", "") => Ok(FsyncPolicy::EachBatch),
        ("every", records) => {
            let records = count(records.trim(), 1, 1_000_000)?;
            Ok(FsyncPolicy::Every(u32::try_from(records).expect("at most a million")))
        }
        ("interval", length) => {
            let length = span(length.trim())?;
            let bounds = Duration::from_millis(1)..=Duration::from_secs(60);
            if bounds.contains(&length) {
                Ok(FsyncPolicy::Interval(length))
            } else {
                Err("an interval from 1ms to 60s".to_owned())
            }
        }
        _ => Err(expected()),
    }
}

/// Reads how often and where a ticket whose worker died is tried again.
pub(super) fn retry(text: &str) -> Read<Retry> {
    let expected = || "attempts and a place, such as 3, head (or tail)".to_owned();
    let (attempts, position) = text.split_once(',').ok_or_else(expected)?;
    let attempts = count(attempts.trim(), 1, 100)?;
    let position = match position.trim() {
        "head" => RetryPosition::Head,
        "tail" => RetryPosition::Tail,
        _ => return Err(expected()),
    };
    Ok(Retry { attempts: u8::try_from(attempts).expect("at most 100"), position })
}

/// Reads when a run ends as overloaded.
pub(super) fn explode(text: &str) -> Read<Option<u32>> {
    if text == "never" {
        return Ok(None);
    }
    let expected = || "never, or a bound such as waiting > 500".to_owned();
    let bound = text.strip_prefix("waiting").and_then(|rest| rest.trim_start().strip_prefix('>'));
    let bound = count(bound.ok_or_else(expected)?.trim(), 1, u64::from(u32::MAX))?;
    Ok(u32::try_from(bound).ok())
}

/// Reads what happens to an arrival that can't be sent in time.
pub(super) fn on_overrun(text: &str) -> Read<OnOverrun> {
    match text {
        "late" => Ok(OnOverrun::Late),
        "drop" => Ok(OnOverrun::Drop),
        _ => Err("late or drop".to_owned()),
    }
}

/// Reads one of a few words, some of which are not built yet.
pub(super) fn word<T: Copy>(text: &str, built: &[(&str, T)], future: &[&str]) -> Read<T> {
    let names: Vec<&str> = built.iter().map(|(name, _)| *name).collect();
    let expected = names.join(", ");
    let found = built.iter().find(|(name, _)| *name == text).map(|&(_, value)| value);
    let name = text.split_whitespace().next().unwrap_or(text);
    found.ok_or_else(|| not_built(name, future, &expected).unwrap_or(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_need_their_units() {
        assert_eq!(span("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(span("1.5 s"), Ok(Duration::from_millis(1500)));
        assert_eq!(size("64KiB", 0, 1 << 20), Ok(65_536));
        assert_eq!(percent("12.5%"), Ok(0.125));
        assert_eq!(count("10_000", 0, 20_000), Ok(10_000));
        for text in ["20", "ms", "20 parsecs", "-1s", "", "1e9s", "400h 2"] {
            assert!(span(text).is_err(), "{text}");
        }
        for text in ["64", "64KB", "99999999999999999999B", "17GiB"] {
            assert!(size(text, 1, 1 << 30).is_err(), "{text}");
        }
        assert!(percent("101%").is_err() && percent("5").is_err() && count("3.5", 0, 9).is_err());
    }

    #[test]
    fn a_port_alone_is_never_seen_from_other_machines() {
        let check = |text: &str, wanted: &str| {
            assert_eq!(listen(text), Ok(Some(wanted.parse().unwrap())), "{text}");
        };
        check("127.0.0.1:9464", "127.0.0.1:9464");
        for text in ["9464", ":9464", "localhost:9464"] {
            check(text, "127.0.0.1:9464");
        }
        check("0.0.0.0:0", "0.0.0.0:0");
        check("[::1]:80", "[::1]:80");
        assert_eq!(listen("off"), Ok(None));
        for text in ["", ":", "on", "65536", ":-1", "example.org:80", "1.2.3.4", "::1:80:"] {
            assert!(listen(text).is_err(), "{text}");
        }
    }

    #[test]
    fn distributions_are_read_as_the_dialect_writes_them() {
        let check = |text: &str, wanted| assert_eq!(distribution(text), Ok(wanted), "{text}");
        check("exp 20ms", Distribution::Exp(0.02));
        check("det 20ms", Distribution::Det(0.02));
        check("20ms", Distribution::Det(0.02));
        check("0s", Distribution::Det(0.0));
        check("uniform 10ms..30ms", Distribution::Uniform(0.01, 0.03));
        check("uniform 20ms +-50%", Distribution::Uniform(0.01, 0.03));
        check("lognormal 20ms cv 1.5", Distribution::Lognormal { mean: 0.02, cv: 1.5 });
        let branches = vec![(0.89, 0.008), (0.11, 0.066)];
        check("hyperexp 89% 8ms, 11% 66ms", Distribution::Hyperexp(branches));
        for text in
            ["exp", "exp 0s", "uniform 30ms..10ms", "lognormal 20ms", "hyperexp 50% 8ms", "x"]
        {
            assert!(distribution(text).is_err(), "{text}");
        }
        assert!(distribution("erlang 20ms k 4").unwrap_err().contains("erlang is not built yet"));
    }

    #[test]
    fn words_say_what_they_could_be() {
        assert_eq!(arrival("poisson 160/s"), Ok(Arrival::Poisson { per_second: 160.0 }));
        assert_eq!(arrival("det 60/min"), Ok(Arrival::Det { per_second: 1.0 }));
        assert!(arrival("sine 3/s").unwrap_err().contains("not built yet"));
        assert_eq!(fsync("every 8"), Ok(FsyncPolicy::Every(8)));
        assert_eq!(fsync("interval 50ms"), Ok(FsyncPolicy::Interval(Duration::from_millis(50))));
        assert!(fsync("often").unwrap_err().contains("each_batch"));
        assert_eq!(work("io 4KiB"), Ok(Work::Io { bytes: 4096 }));
        assert!(work("sleep 3").is_err());
        assert_eq!(retry("3, tail"), Ok(Retry { attempts: 3, position: RetryPosition::Tail }));
        assert_eq!(explode("waiting > 500"), Ok(Some(500)));
        assert_eq!(explode("never"), Ok(None));
        assert!(explode("waiting < 5").is_err());
    }
}
