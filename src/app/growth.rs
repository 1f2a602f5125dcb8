//! Whether an office falls behind while one looks at it: its queue or its latency grows and grows,
//! whatever goals it has. Pure: made from the seconds of the run.
//!
//! Half a minute is looked at in thirds. Something grows if each third is worse than the one before
//! and the last much worse than the first, so a wave of some seconds or a single late ticket is no growth.

use std::time::Duration;

use engine::clock::Time;

use super::events::{News, Source};
use super::format;
use super::history::{History, Second};
use super::state::Severity;
use super::trend::{Measure, Timed};

/// Seconds of a third.
const THIRD_SECONDS: usize = 10;
/// Seconds that are looked at.
const SECONDS: usize = 3 * THIRD_SECONDS;
/// Seats that are busier than this have nothing to give.
const BUSY_MIN: f64 = 0.95;
/// A queue that is longer by fewer tickets is no alert...
const TICKETS_MIN: f64 = 10.0;
/// ...nor one that is longer by a smaller share of what it was.
const SHARE_MIN: f64 = 0.2;
/// A latency that is less than so many times what it was is no alert...
const TIMES_MIN: f64 = 2.0;
/// ...nor one that is longer by less, in seconds.
const LATENCY_MIN: f64 = 0.001;
/// A percentile of fewer tickets jumps about by itself.
const SERVED_MIN: u64 = 100;
/// Seconds without growth after which it is over, so that one at its bounds does not come and go.
const CALM_SECONDS: u32 = 10;

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Growth {
    /// The queue, because more comes than the seats can serve.
    Queue {
        /// Tickets that wait now.
        waiting: u64,
        /// How many more these are than half a minute ago.
        more: u64,
        /// Busy seats ÷ staffed seats meanwhile; `None` if none was staffed, or if that is not
        /// known.
        busy: Option<f64>,
    },
    /// The 99th percentile of the sojourn time.
    Latency {
        /// What it is in most seconds of the last third.
        now: Duration,
        /// What it was in those of the first.
        before: Duration,
    },
}

impl Growth {
    /// Returns what grew up to a moment, what is behind it before what follows from it.
    pub(crate) fn of(history: &History, until: Time) -> Option<Self> {
        let ended = history.iter().rev().skip_while(|second| second.end > until);
        let mut seconds: Vec<&Second> = ended.take(SECONDS).collect();
        if seconds.len() < SECONDS || seconds.iter().any(|second| second.is_paused()) {
            return None;
        }
        seconds.reverse();
        queue(&seconds).or_else(|| latency(&seconds))
    }

    /// Says it in a line, figures first.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Queue { waiting, more, busy } => {
                let why = match busy {
                    Some(busy) => format!(
                        "seats are {} busy: more workers or less demand would stop it",
                        format::percent(busy)
                    ),
                    None => "more comes than is served".to_owned(),
                };
                let (waiting, more) = (format::count(waiting), format::count(more));
                format!("the queue grows: {waiting} wait, {more} more than {SECONDS} s ago; {why}")
            }
            Self::Latency { now, before } => format!(
                "the sojourn time grows: p99 {}, {} some {} s ago",
                format::duration(now),
                format::duration(before),
                SECONDS - THIRD_SECONDS
            ),
        }
    }

    /// Says it in two words, for headers.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Queue { .. } => "QUEUE GROWS",
            Self::Latency { .. } => "p99 GROWS",
        }
    }
}

/// Tells when growth begins and ends.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// What was told to grow, and when.
    told: Option<(Growth, Time)>,
    calm: u32,
}

impl Watch {
    /// Takes what grows at the end of a second and returns what people should know.
    pub(crate) fn end_second(&mut self, growth: Option<Growth>, at: Time) -> Option<News> {
        self.calm = if growth.is_some() { 0 } else { self.calm + 1 };
        let (severity, label, text) = match (self.told, growth) {
            (None, Some(growth))
            | (Some((Growth::Latency { .. }, _)), Some(growth @ Growth::Queue { .. })) => {
                self.told = Some((growth, at));
                (Severity::Warning, growth.word().to_lowercase(), growth.text())
            }
            (Some((told, since)), None) if self.calm >= CALM_SECONDS => {
                self.told = None;
                let what = match told {
                    Growth::Queue { .. } => "queue",
                    Growth::Latency { .. } => "sojourn time",
                };
                let lasted = format::duration(at.since(since));
                let text = format!("the {what} grows no more, after {lasted}");
                (Severity::Info, "growth ends".to_owned(), text)
            }
            _ => return None,
        };
        Some(News { severity, who: Source::Office, label, text })
    }
}

/// Returns the medians of the thirds, which one late second does not move, if each is greater than
/// the one before.
fn rising(seconds: &[&Second], measure: Measure) -> Option<[f64; 3]> {
    let mut medians = [0.0; 3];
    for (third, median) in seconds.chunks(THIRD_SECONDS).zip(&mut medians) {
        let mut known: Vec<f64> = third.iter().filter_map(|second| measure.of(second)).collect();
        if known.len() * 2 < THIRD_SECONDS {
            return None;
        }
        known.sort_by(f64::total_cmp);
        *median = known[known.len() / 2];
    }
    medians.is_sorted_by(|a, b| a < b).then_some(medians)
}

fn queue(seconds: &[&Second]) -> Option<Growth> {
    let [first, _, last] = rising(seconds, Measure::Waiting)?;
    if last - first < TICKETS_MIN.max(SHARE_MIN * first) {
        return None;
    }
    let busy = busy(seconds);
    let (before, now) = (seconds.first()?.waiting, seconds.last()?.waiting);
    let is_behind = busy.is_none_or(|busy| busy >= BUSY_MIN) && now > before;
    is_behind.then(|| Growth::Queue { waiting: now, more: now - before, busy })
}

/// Returns how busy the seats were; `None` if none was staffed, or if that is not known.
fn busy(seconds: &[&Second]) -> Option<f64> {
    let of = |second: &&Second| {
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        let at_end = |staffed: u64| second.in_service as f64 / staffed as f64;
        let staffed = second.staffed.filter(|&staffed| staffed > 0);
        second.utilization.or_else(|| staffed.map(at_end))
    };
    let known: Vec<f64> = seconds.iter().filter_map(of).collect();
    #[expect(clippy::cast_precision_loss, reason = "thirty at most")]
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

fn latency(seconds: &[&Second]) -> Option<Growth> {
    let served = |third: &[&Second]| third.iter().map(|second| second.served).sum::<u64>();
    if seconds.chunks(THIRD_SECONDS).any(|third| served(third) < SERVED_MIN) {
        return None;
    }
    let [first, _, last] = rising(seconds, Measure::P99(Timed::Sojourn))?;
    let is_much = last >= TIMES_MIN * first && last - first >= LATENCY_MIN;
    let [before, now] = [first, last].map(Duration::from_secs_f64);
    is_much.then_some(Growth::Latency { now, before })
}

#[cfg(test)]
mod tests {
    use engine::perf::Spread;

    use super::*;

    /// Returns a run of busy seconds with so many waiting at the end of each.
    fn run(waiting: impl IntoIterator<Item = u64>, change: impl Fn(&mut Second)) -> History {
        let mut history = History::default();
        for (number, waiting) in (1..).zip(waiting) {
            let span = Duration::from_secs(1);
            let mut second = Second {
                end: Time(number * 1_000_000_000),
                span,
                running: span,
                served: 50,
                waiting,
                in_service: 4,
                staffed: Some(4),
                utilization: Some(1.0),
                ..Second::default()
            };
            change(&mut second);
            history.push(second);
        }
        history
    }

    fn grown(history: &History) -> Option<Growth> {
        Growth::of(history, Time(u64::MAX))
    }

    #[test]
    fn a_queue_that_grows_while_all_seats_are_busy_is_told() {
        let growth = grown(&run((0..40).map(|second| 4 * second), |_| {}));
        assert_eq!(growth, Some(Growth::Queue { waiting: 156, more: 116, busy: Some(1.0) }));
        let text = growth.unwrap().text();
        assert!(text.starts_with("the queue grows: 156 wait, 116 more than 30 s ago"), "{text}");
        assert!(text.contains("seats are 100.0 % busy"), "{text}");
    }

    #[test]
    fn it_is_told_as_of_the_moment_that_is_looked_at() {
        let history = run((0..60).map(|second| if second < 35 { 4 * second } else { 0 }), |_| {});
        assert_eq!(grown(&history), None);
        let then = Growth::of(&history, Time(35_000_000_000));
        assert!(matches!(then, Some(Growth::Queue { waiting: 136, .. })), "{then:?}");
        assert_eq!(Growth::of(&history, Time(20_000_000_000)), None, "twenty seconds are too few");
    }

    #[test]
    fn waves_noise_pauses_and_free_seats_are_no_growth() {
        let none = |waiting: &dyn Fn(u64) -> u64, change: &dyn Fn(&mut Second)| {
            assert_eq!(grown(&run((0..30).map(waiting), change)), None);
        };
        none(&|second| 100 + second % 10 * 20, &|_| {});
        none(&|second| second / 5, &|_| {});
        none(&|second| 1_000 + 4 * second, &|_| {});
        none(&|second| 400 - second, &|_| {});
        none(&|second| 4 * second, &|second| second.utilization = Some(0.8));
        none(&|second| 4 * second, &|second| {
            second.running = if second.waiting == 40 { Duration::ZERO } else { second.running };
        });
        assert_eq!(grown(&History::default()), None);
    }

    #[test]
    fn a_queue_that_nobody_serves_is_told_too() {
        let history = run((0..30).map(|second| 4 * second), |second| {
            (second.staffed, second.in_service, second.utilization) = (Some(0), 0, None);
        });
        let growth = grown(&history).unwrap();
        assert!(growth.text().ends_with("more comes than is served"), "{}", growth.text());
    }

    #[test]
    fn growth_is_told_once_when_it_begins_and_when_it_has_been_over_for_a_while() {
        let queue = Growth::Queue { waiting: 156, more: 116, busy: Some(1.0) };
        let ms = Duration::from_millis;
        let latency = Growth::Latency { now: ms(62), before: ms(22) };
        let mut watch = Watch::default();
        let mut second = 0;
        let mut told = |growth, seconds: u64| {
            let news = (0..seconds).filter_map(|_| {
                second += 1;
                watch.end_second(growth, Time(second * 1_000_000_000))
            });
            news.map(|news| (news.severity, news.label)).collect::<Vec<_>>()
        };
        let (warning, info) = (
            |label: &str| (Severity::Warning, label.to_owned()),
            |label: &str| (Severity::Info, label.to_owned()),
        );
        assert_eq!(told(None, 20), []);
        assert_eq!(told(Some(latency), 5), [warning("p99 grows")]);
        assert_eq!(told(Some(queue), 5), [warning("queue grows")], "what is behind it is told");
        assert_eq!(told(Some(latency), 5), [], "what follows from it is not");
        assert_eq!(told(None, 9), []);
        assert_eq!(told(Some(queue), 1), [], "it was not over");
        assert_eq!(told(None, 30), [info("growth ends")]);
        assert_eq!(told(Some(queue), 2), [warning("queue grows")]);
    }

    /// Returns a run whose 99th percentile is so many milliseconds in each second.
    fn late(p99_ms: impl Fn(u64) -> u64, served: u64) -> History {
        run(vec![0; 30], |second| {
            let number = second.end.0 / 1_000_000_000;
            let p99 = Duration::from_millis(p99_ms(number));
            second.served = served;
            second.sojourn = Some(Spread { p99, max: p99, ..Spread::default() });
        })
    }

    #[test]
    fn a_latency_that_doubles_is_told_if_there_are_enough_tickets() {
        let growth = grown(&late(|second| 10 + 2 * second, 20));
        assert!(matches!(growth, Some(Growth::Latency { .. })), "{growth:?}");
        let text = growth.unwrap().text();
        assert_eq!(text, "the sojourn time grows: p99 62.0ms, 22.0ms some 20 s ago");
        assert_eq!(grown(&late(|second| 10 + 2 * second, 9)), None, "too few tickets");
        assert_eq!(grown(&late(|second| 100 + 2 * second, 20)), None, "not twice as long");
        let one_is_late = |second| if second == 25 { 900 } else { 10 + second / 10 };
        assert_eq!(grown(&late(one_is_late, 20)), None);
    }
}
