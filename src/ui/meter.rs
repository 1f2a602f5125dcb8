//! What the dashboard itself costs, as it measures it: shown when asked for, so that the tool that
//! measures can be judged too.

use std::time::Duration;

use engine::clock::Time;

use crate::app::format;

/// The span over which is measured.
const SPAN: Duration = Duration::from_secs(1);

/// Counts of the span that is under way, and the figures of the last one that is over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    since: Option<Time>,
    frames: u64,
    bytes: u64,
    slowest: Duration,
    /// Snapshots that came while the terminal had not taken the frame before; since the start.
    skipped: u64,
    last: Option<Reading>,
}

/// The figures of a span.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    frames_per_s: f64,
    bytes_per_s: f64,
    slowest: Duration,
    age: Duration,
}

impl Meter {
    /// Counts a frame that was built in `took` and has `bytes` (none if nothing had changed).
    pub(crate) fn frame(&mut self, took: Duration, bytes: Option<usize>) {
        self.frames += u64::from(bytes.is_some());
        self.bytes += bytes.unwrap_or(0) as u64;
        self.slowest = self.slowest.max(took);
    }

    /// Counts a snapshot that is not shown because the terminal is slow.
    pub(crate) fn skip(&mut self) {
        self.skipped += 1;
    }

    /// Ends the span if it is over; `age` is how old the newest snapshot is.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(crate) fn tick(&mut self, now: Time, age: Duration) {
        let since = *self.since.get_or_insert(now);
        let span = now.since(since);
        if span < SPAN {
            return;
        }
        let seconds = span.as_secs_f64();
        self.last = Some(Reading {
            frames_per_s: self.frames as f64 / seconds,
            bytes_per_s: self.bytes as f64 / seconds,
            slowest: self.slowest,
            age,
        });
        (self.since, self.frames, self.bytes) = (Some(now), 0, 0);
        self.slowest = Duration::ZERO;
    }

    /// Says it in a line.
    pub(crate) fn text(&self) -> String {
        let skipped = format::count(self.skipped);
        let Some(last) = &self.last else {
            return format!("the first second is being measured  skipped {skipped}");
        };
        let (frames, slowest) = (format::rate(last.frames_per_s), format::duration(last.slowest));
        let (bytes, age) = (format::byte_rate(last.bytes_per_s), format::duration(last.age));
        format!("{frames} frames/s  slowest {slowest}  {bytes}  skipped {skipped}  age {age}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_measured_and_what_was_skipped_adds_up() {
        let mut meter = Meter::default();
        let at = |ms: u64| Time(1_000_000 * ms);
        meter.tick(at(0), Duration::ZERO);
        meter.frame(Duration::from_micros(300), Some(1_500));
        meter.frame(Duration::from_micros(700), None);
        meter.skip();
        meter.tick(at(900), Duration::from_millis(3));
        assert!(meter.text().starts_with("the first second"), "{}", meter.text());
        meter.tick(at(2_000), Duration::from_millis(3));
        let text = "0.50 frames/s  slowest 700µs  750 B/s  skipped 1  age 3.00ms";
        assert_eq!(meter.text(), text);
        meter.tick(at(3_000), Duration::ZERO);
        assert!(meter.text().contains("skipped 1  age 0"), "{}", meter.text());
    }
}
