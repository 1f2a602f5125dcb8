//! What measuring costs.
//!
//! A new probe is one more entry of [`PROBES`].

use std::hint::black_box;
use std::time::Duration;

use engine::bench::{now, seconds_since};
use engine::clock::{Clock, SystemClock};
use engine::perf::{Histogram, Metrics, facade};
use engine::{count, observe, timed};
use nix::libc;

use super::limit::Split;
use super::report::{Group, Row, Sample, Told, Unit};
use super::{Bench, BenchError, Subject};

/// Does one operation some times and returns something of it, so that it can't be left out.
type Work = Box<dyn FnMut(&[Duration]) -> u64>;

/// One row: what is done for each of some latencies, and the least that could be.
struct Probe {
    name: &'static str,
    product: fn() -> Work,
    floor: fn() -> Work,
    /// What the floor does, and what the product does beyond it.
    split: Split,
}

const PROBES: [Probe; 7] = [
    Probe {
        name: "a reading of the clock",
        product: read_clock,
        floor: call_clock,
        split: Split { per: "reading", machine: "the kernel's clock", own: "checks around it" },
    },
    Probe {
        name: "a latency in a histogram",
        product: record_in_histogram,
        floor: add,
        split: Split { per: "latency", machine: "adding it up", own: "finding its bucket" },
    },
    Probe {
        name: "a count of a metric",
        product: count_on,
        floor: add,
        split: Split { per: "count", machine: "adding it up", own: "finding the thread's sum" },
    },
    Probe {
        name: "a value of a metric, batched",
        product: observe_on,
        floor: add,
        split: Split { per: "value", machine: "adding it up", own: "the ring and its batcher" },
    },
    Probe {
        name: "a span, timed and recorded",
        product: time_on,
        floor: call_clock_twice,
        split: Split {
            per: "span",
            machine: "two readings of the kernel's clock",
            own: "the ring and its batcher",
        },
    },
    Probe {
        name: "a value, recording turned off",
        product: observe_off,
        floor: look,
        split: Split { per: "value", machine: "looking at it", own: "asking whether to" },
    },
    Probe {
        name: "a span, recording turned off",
        product: time_off,
        floor: look,
        split: Split { per: "span", machine: "looking at it", own: "asking whether to" },
    },
];

/// Measures all rows.
pub(super) fn measure(bench: &Bench) -> Result<Group, BenchError> {
    let rows = PROBES.iter().map(|probe| probe.measure(bench)).collect::<Result<_, _>>()?;
    let floor = if cfg!(feature = "metrics") {
        "clock_gettime alone, or one addition"
    } else {
        "clock_gettime alone, or one addition; recording is compiled out of this program"
    };
    Ok(Group { subject: Subject::Perf, floor, rows, told: Told::Farthest })
}

impl Probe {
    fn measure(&self, bench: &Bench) -> Result<Row, BenchError> {
        let latencies = latencies();
        let (mut product, mut floor) = ((self.product)(), (self.floor)());
        let measured = bench.compare(
            Subject::Perf,
            self.name,
            bench.turns(),
            |window| Ok(cost(window, &latencies, &mut product)),
            |window| Ok(cost(window, &latencies, &mut floor)),
        )?;
        let limit = self.split.tell(measured.product.value, measured.floor.value);
        Ok(measured.row(self.name, Unit::NanosOf(self.split.per), limit))
    }
}

/// Returns what one operation takes, in nanoseconds.
fn cost(window: Duration, latencies: &[Duration], work: &mut Work) -> Sample {
    let (began, mut count) = (now(), 0_u64);
    while now().since(began) < window {
        black_box(work(black_box(latencies)));
        count += latencies.len() as u64;
    }
    Sample { value: seconds_since(began) * 1e9 / count as f64, spread: None }
}

/// Returns latencies of all magnitudes from microseconds to a second, in a mixed order.
fn latencies() -> Vec<Duration> {
    let mixed = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 34;
    (1..=1024).map(|number| Duration::from_nanos((mixed(number) >> (number % 20)) + 1)).collect()
}

fn read_clock() -> Work {
    Box::new(|latencies| latencies.iter().map(|_| SystemClock.now().0).fold(0, u64::wrapping_add))
}

fn call_clock() -> Work {
    Box::new(|latencies| latencies.iter().map(|_| raw_clock()).fold(0, u64::wrapping_add))
}

fn call_clock_twice() -> Work {
    Box::new(|latencies| {
        let spans = latencies.iter().map(|_| {
            let began = raw_clock();
            raw_clock().wrapping_sub(began)
        });
        spans.fold(0, u64::wrapping_add)
    })
}

/// Reads the clock without looking whether that worked.
fn raw_clock() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of this function's own.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.unsigned_abs().wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec.unsigned_abs())
}

fn record_in_histogram() -> Work {
    let mut histogram = Histogram::default();
    Box::new(move |latencies| {
        latencies.iter().for_each(|latency| histogram.record(*latency));
        histogram.count()
    })
}

// This process runs no office, so any metric of the catalog is free for these.

fn count_on() -> Work {
    recording(true, |latencies| {
        latencies.iter().for_each(|latency| count!(LOOP_READ_BYTES, nanos_of(latency)));
    })
}

fn observe_on() -> Work {
    recording(true, observe_all)
}

fn observe_off() -> Work {
    recording(false, observe_all)
}

fn time_on() -> Work {
    recording(true, time_all)
}

fn time_off() -> Work {
    recording(false, time_all)
}

fn observe_all(latencies: &[Duration]) {
    latencies.iter().for_each(|latency| observe!(LOGSTORE_WRITE, nanos_of(black_box(latency))));
}

fn time_all(latencies: &[Duration]) {
    latencies.iter().for_each(|latency| {
        timed!(LOGSTORE_WRITE, black_box(latency));
    });
}

fn nanos_of(latency: &Duration) -> u64 {
    u64::from(latency.subsec_nanos())
}

/// Records with recording turned on or off, and does the batcher's work too.
fn recording(is_on: bool, work: fn(&[Duration])) -> Work {
    let mut metrics = Metrics::default();
    Box::new(move |latencies| {
        facade::set_recording(is_on);
        work(latencies);
        facade::set_recording(true);
        if is_on {
            facade::drain(&mut metrics);
            metrics.clear();
        }
        latencies.len() as u64
    })
}

/// Does with each latency what a recording that is off must do too: nothing.
fn look() -> Work {
    Box::new(|latencies| {
        latencies.iter().for_each(|latency| {
            black_box(latency);
        });
        latencies.len() as u64
    })
}

fn add() -> Work {
    let mut sum = 0_u64;
    Box::new(move |latencies| {
        for latency in latencies {
            sum = black_box(sum.wrapping_add(u64::from(latency.subsec_nanos())));
        }
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_probe_has_a_cost() {
        let latencies = latencies();
        for probe in &PROBES {
            for work in [probe.product, probe.floor] {
                let cost = cost(Duration::from_micros(100), &latencies, &mut work()).value;
                assert!(cost > 0.0 && cost.is_finite(), "{}: {cost}", probe.name);
            }
        }
    }

    #[test]
    fn latencies_have_all_magnitudes() {
        let latencies = latencies();
        let most = latencies.iter().max().unwrap();
        assert!(*most > Duration::from_millis(500) && *most < Duration::from_secs(2));
        assert!(latencies.iter().any(|latency| *latency < Duration::from_micros(2)));
    }
}
