//! Numbers as people read them: three significant digits and a unit.

use std::path::Path;
use std::time::Duration;

use engine::clock::WallTime;

/// What stands where a value is not known.
pub(crate) const ABSENT: &str = "–";

/// Writes a figure, or the sign for one that is not known.
pub(crate) fn known<T>(figure: Option<T>, write: impl FnOnce(T) -> String) -> String {
    figure.map_or_else(|| ABSENT.to_owned(), write)
}

/// Writes a span: `812ns`, `41.2µs`, `3.05ms`, `1.20s`, `2m05s`, `3h07m`.
pub(crate) fn duration(span: Duration) -> String {
    let ns = span.as_nanos();
    match ns {
        0 => "0".to_owned(),
        1..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => scaled(span.as_secs_f64() * 1e6, "µs"),
        1_000_000..1_000_000_000 => scaled(span.as_secs_f64() * 1e3, "ms"),
        1_000_000_000..60_000_000_000 => scaled(span.as_secs_f64(), "s"),
        _ => clock(span),
    }
}

/// Writes a span as a clock that people watch: `00:12`, `12:41`, `1:02:03`.
pub(crate) fn stopwatch(span: Duration) -> String {
    let seconds = span.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}

/// Writes a round span: `10s`, `5m`, `1h`.
pub(crate) fn window(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds => format!("{}h", seconds / 3600),
    }
}

fn clock(span: Duration) -> String {
    let seconds = span.as_secs();
    if seconds < 3600 {
        format!("{}m{:02}s", seconds / 60, seconds % 60)
    } else {
        format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60)
    }
}

/// Writes a count with a thin gap between thousands: `48 210`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Writes how many there are of something whose plural takes an s: `1 segment`, `48 210 rows`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", count(number))
}

/// Writes a rate per second without its unit: `0`, `3.21`, `160`, `48 210`.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate <= 0.0 || !rate.is_finite() => "0".to_owned(),
        rate if rate < 100.0 => scaled(rate, ""),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded")]
        rate => count(rate.round() as u64),
    }
}

/// Writes thousandths of the usual pace: `x4`, `x0.25`.
pub(crate) fn speed(milli: u32) -> String {
    let text = format!("x{}.{:03}", milli / 1000, milli % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Writes a ratio as percent: `71.3 %`.
pub(crate) fn percent(ratio: f64) -> String {
    format!("{:.1} %", ratio * 100.0)
}

/// Writes how much of a whole is done, in whole percent and never more than is: `43 %`.
pub(crate) fn percent_done(part: u64, whole: u64) -> String {
    let percent = u128::from(part) * 100 / u128::from(whole.max(1));
    format!("{} %", percent.min(100))
}

/// Writes a size: `93 B`, `4.10 KiB`, `64.0 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = [" KiB", " MiB", " GiB", " TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut size = bytes as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while size >= 1000.0
        && let Some(next) = units.next()
    {
        size /= 1024.0;
        unit = Some(next);
    }
    scaled(size, unit.unwrap_or(&""))
}

/// Writes a number that is not negative in at most five characters, for axes: `250`, `2.5k`,
/// `48.2k`, `1.5M`.
pub(crate) fn short(number: f64) -> String {
    in_units(number, 1000.0, ["", "k", "M", "G", "T"])
}

/// Writes a size for axes, in at most five characters if it is a power of two: `512B`, `64Ki`,
/// `1.5Mi`.
pub(crate) fn short_bytes(bytes: f64) -> String {
    in_units(bytes, 1024.0, ["B", "Ki", "Mi", "Gi", "Ti"])
}

/// Writes a number with the unit in which it is below a thousand; each unit is so many times the
/// one before.
fn in_units(number: f64, times: f64, units: [&str; 5]) -> String {
    let mut size = number;
    let mut unit = 0;
    while size >= 999.5 && unit + 1 < units.len() {
        size /= times;
        unit += 1;
    }
    format!("{}{}", plain(size), units[unit])
}

/// Writes bytes per second: `93 B/s`, `4.10 KiB/s`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes for people")]
pub(crate) fn byte_rate(per_second: f64) -> String {
    format!("{}/s", bytes(per_second as u64))
}

/// Writes a span in few characters, for axes: `5ms`, `100µs`, `2.5s`.
pub(crate) fn short_span(span: Duration) -> String {
    let seconds = span.as_secs_f64();
    let (size, unit) = match seconds {
        ..0.999_5e-6 => (seconds * 1e9, "ns"),
        ..0.999_5e-3 => (seconds * 1e6, "µs"),
        ..0.999_5 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    format!("{}{unit}", plain(size))
}

/// Writes at most three digits and no zeros behind the point.
fn plain(number: f64) -> String {
    let text = scaled(number, "");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Writes a number without a unit: `0`, `0.123`, `3.21`, `48 210`; a dash for what is none.
pub(crate) fn number(number: f64) -> String {
    let size = number.abs();
    match size {
        _ if !number.is_finite() => ABSENT.to_owned(),
        0.0 => "0".to_owned(),
        ..0.001 => format!("{number:.1e}"),
        ..1.0 => format!("{number:.3}"),
        ..1000.0 => scaled(number, ""),
        _ if number < 0.0 => format!("-{}", rate(size)),
        _ => rate(number),
    }
}

/// Writes a mean with no more digits than it is sure of, and how sure: `12 ms ± 4`.
pub(crate) fn mean(mean_ns: f64, half_width_ns: f64) -> String {
    let (unit, name) = match mean_ns.max(half_width_ns) {
        ..1e3 => (1.0, "ns"),
        ..1e6 => (1e3, "µs"),
        ..1e9 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    let (mean, half_width) = (mean_ns / unit, half_width_ns / unit);
    if half_width.partial_cmp(&0.0) != Some(std::cmp::Ordering::Greater) {
        return format!("{} {name}", scaled(mean, ""));
    }
    // One digit of the half-width, two if it begins with a one.
    let mut place = half_width.log10().floor();
    if half_width / 10_f64.powf(place) < 1.95 {
        place -= 1.0;
    }
    let rounded = |value: f64| (value / 10_f64.powf(place)).round() * 10_f64.powf(place);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 9 digits")]
    let digits = (-place).clamp(0.0, 9.0) as usize;
    format!("{:.digits$} {name} ± {:.digits$}", rounded(mean), rounded(half_width))
}

/// Writes a moment of the calendar as part of a file's name: `20261126T034012Z`.
pub(crate) fn stamp(wall: WallTime) -> String {
    let ([year, month, day], [hour, minute, second]) = calendar(wall);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Writes a moment of the calendar by ISO 8601, in UTC: `2026-11-26T03:40:12.250Z`.
pub(crate) fn iso(wall: WallTime) -> String {
    let ([year, month, day], [hour, minute, second]) = calendar(wall);
    let ms = wall.0 / 1_000_000 % 1000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Returns year, month, day and hour, minute, second in UTC (Howard Hinnant's
/// `civil_from_days`).
fn calendar(wall: WallTime) -> ([u64; 3], [u64; 3]) {
    let seconds = wall.0 / 1_000_000_000;
    // Days since 0000-03-01, in eras of 400 years.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let leaps = day_of_era / 1460 + day_of_era / 146_096 - day_of_era / 36_524;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // March is month zero.
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    ([year, month, day], [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60])
}

/// Writes a path with `~` for the home directory.
pub(crate) fn path(path: &Path, home: Option<&Path>) -> String {
    let short = home.filter(|home| home.parent().is_some());
    match short.and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}

/// Writes three significant digits of a number below about a thousand.
fn scaled(number: f64, unit: &str) -> String {
    let digits = match number {
        number if number < 9.995 => 2,
        number if number < 99.95 => 1,
        _ => 0,
    };
    format!("{number:.digits$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        let check = |ns, text: &str| assert_eq!(duration(Duration::from_nanos(ns)), text);
        check(0, "0");
        check(812, "812ns");
        check(41_234, "41.2µs");
        check(3_050_000, "3.05ms");
        check(999_600_000, "1000ms");
        check(1_200_000_000, "1.20s");
        check(125_000_000_000, "2m05s");
        check(11_220_000_000_000, "3h07m");
    }

    #[test]
    fn a_mean_has_no_more_digits_than_its_interval_justifies() {
        let check =
            |mean_ns, half_width_ns, text: &str| assert_eq!(mean(mean_ns, half_width_ns), text);
        check(12_345_678.0, 4_200_000.0, "12 ms ± 4");
        check(12_345_678.0, 420_000.0, "12.3 ms ± 0.4");
        check(12_345_678.0, 1_200_000.0, "12.3 ms ± 1.2");
        check(123_456_789.0, 41_000_000.0, "120 ms ± 40");
        check(3_050.0, 7.3, "3.050 µs ± 0.007");
        check(1_200.0, 30_000.0, "0 µs ± 30");
        check(8_000_000.0, 0.0, "8.00 ms");
        check(0.0, 0.0, "0.00 ns");
    }

    #[test]
    fn axes_have_short_numbers() {
        for (number, text) in [
            (0.0, "0"),
            (2.5, "2.5"),
            (250.0, "250"),
            (999.9, "1k"),
            (48_210.0, "48.2k"),
            (1.5e6, "1.5M"),
            (2e13, "20T"),
        ] {
            assert_eq!(short(number), text);
        }
        for (bytes, text) in [
            (0.0, "0B"),
            (512.0, "512B"),
            (65_536.0, "64Ki"),
            (524_288.0, "512Ki"),
            (3e9, "2.79Gi"),
        ] {
            assert_eq!(short_bytes(bytes), text);
        }
        for (ns, text) in [
            (5_000_000, "5ms"),
            (999_999_999, "1s"),
            (100_000, "100µs"),
            (2_500_000_000, "2.5s"),
            (40, "40ns"),
        ] {
            assert_eq!(short_span(Duration::from_nanos(ns)), text);
        }
    }

    #[test]
    fn numbers_without_a_unit_keep_their_sign() {
        let check = |value, text: &str| assert_eq!(number(value), text);
        check(0.0, "0");
        check(0.5, "0.500");
        check(-0.02, "-0.020");
        check(0.000_2, "2.0e-4");
        check(3.214, "3.21");
        check(48_210.4, "48 210");
        check(-48_210.4, "-48 210");
        check(f64::NAN, "–");
    }

    #[test]
    fn moments_are_written_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (1_795_664_412, "2026-11-26T03:40:12.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso(WallTime(seconds * 1_000_000_000)), text);
        }
        assert_eq!(iso(WallTime(1_795_664_412_250_999_999)), "2026-11-26T03:40:12.250Z");
        assert_eq!(stamp(WallTime(1_795_664_412_250_999_999)), "20261126T034012Z");
    }

    #[test]
    fn a_home_directory_is_a_tilde() {
        let check = |place: &str, home: Option<&str>, text: &str| {
            assert_eq!(path(Path::new(place), home.map(Path::new)), text);
        };
        check("/home/ada/x/y", Some("/home/ada"), "~/x/y");
        check("/home/ada", Some("/home/ada"), "~");
        check("/home/adam", Some("/home/ada"), "/home/adam");
        check("/tmp/x", Some("/"), "/tmp/x");
        check("/tmp/x", None, "/tmp/x");
    }

    #[test]
    fn counts_are_grouped() {
        let check = |number, text: &str| assert_eq!(count(number), text);
        check(7, "7");
        check(999, "999");
        check(48_210, "48 210");
        check(1_000_000, "1 000 000");
        assert_eq!(counted(0, "row"), "0 rows");
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(48_210, "row"), "48 210 rows");
    }

    #[test]
    fn rates_and_sizes_fit_their_magnitude() {
        let check = |rate_text: String, text: &str| assert_eq!(rate_text, text);
        check(rate(0.0), "0");
        check(rate(f64::NAN), "0");
        check(rate(3.214), "3.21");
        check(rate(48_210.4), "48 210");
        check(speed(1000), "x1");
        check(speed(250), "x0.25");
        check(speed(60_000), "x60");
        check(bytes(93), "93 B");
        check(bytes(4200), "4.10 KiB");
        check(bytes(64 << 20), "64.0 MiB");
        check(byte_rate(4200.7), "4.10 KiB/s");
        check(percent(0.7133), "71.3 %");
        check(percent_done(433, 1000), "43 %");
        check(percent_done(999_999, 1_000_000), "99 %");
        check(percent_done(1001, 1000), "100 %");
        check(percent_done(0, 0), "0 %");
        check(percent_done(u64::MAX, u64::MAX), "100 %");
        check(stopwatch(Duration::from_secs(3723)), "1:02:03");
    }
}
