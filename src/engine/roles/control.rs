//! A child's side of the control plane: hello, heartbeats, log lines, the time for telemetry.
//!
//! Telemetry is due at fixed moments of the clock that all processes share, shifted a little by
//! role: what users saw in a second reaches the director before the issuer ends that second, and
//! many processes do not wake at once.
//!
//! Heartbeats come from the role's own event loop, so a loop that hangs falls silent. Log lines
//! are kept in a bounded queue until the loop sends them; what does not fit is counted.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::event_loop::Refusal;
use super::links::{LinkId, Links};
use crate::clock::{Time, nanos};
use crate::limits;
use crate::net::frame::Frame;
use crate::net::message::{
    ChildToSupervisor, FIRST_COMMON_KIND, Failure, Heartbeat, Hello, LogLevel, LogLine,
    MetricsDelta, SupervisorToChild,
};
use crate::net::wire::Message;
use crate::perf::facade;
use crate::perf::histogram::InvalidHistogram;
use crate::perf::metrics::{Metrics, Value};

/// A child's link to its supervisor.
#[derive(Debug)]
pub struct Control {
    link: LinkId,
    heartbeat_at: Time,
    telemetry_at: Time,
    phase: Duration,
    is_waiting: bool,
    /// Histograms are due and could not be sent.
    owes_latencies: bool,
    metrics: Metrics,
}

/// When telemetry is due within its interval, for each role.
pub(super) mod phase {
    use std::time::Duration;

    /// User processes are spread over this time.
    const USERS_SPREAD_MS: u64 = 150;

    /// Returns the phase of a user process.
    pub(in super::super) fn user(number: u16) -> Duration {
        Duration::from_millis(u64::from(number) * 7 % USERS_SPREAD_MS)
    }

    /// The users manager passes on what user processes said.
    pub(in super::super) const MANAGER: Duration = Duration::from_millis(175);
    /// Workers.
    pub(in super::super) const WORKER: Duration = Duration::from_millis(100);
    /// The issuer ends the second.
    pub(in super::super) const ISSUER: Duration = Duration::from_millis(200);
}

/// Which telemetry is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Counts.
    pub totals: bool,
    /// Histograms, which are larger and change what people see less often.
    pub latencies: bool,
}

impl Control {
    /// Says hello on `link`. Telemetry is due `phase` after each border of its interval.
    pub fn greet(link: LinkId, number: u16, phase: Duration, links: &mut Links) -> Self {
        let hello = Hello { number, pid: std::process::id() };
        links.send(link, &ChildToSupervisor::Hello(hello));
        Self {
            link,
            heartbeat_at: Time::ZERO,
            telemetry_at: Time::ZERO,
            phase,
            is_waiting: false,
            owes_latencies: false,
            metrics: Metrics::default(),
        }
    }

    /// Returns the link to the supervisor.
    pub fn link(&self) -> LinkId {
        self.link
    }

    /// Takes what every supervisor says in the same way. Returns whether that was it; if not, the
    /// frame is for the role.
    ///
    /// # Errors
    /// [`Refusal`] if the frame is not what a supervisor says.
    pub fn frame(&self, frame: &Frame<'_>) -> Result<bool, Refusal> {
        if frame.kind < FIRST_COMMON_KIND {
            return Ok(false);
        }
        let SupervisorToChild::LogLevel(LogLevel { level }) =
            SupervisorToChild::decode(frame.kind, frame.payload)?;
        log::set_max_level(level_of(level).to_level_filter());
        Ok(true)
    }

    /// Sends a message to the supervisor.
    pub fn send<'m>(&self, message: &impl Message<'m>, links: &mut Links) {
        links.send(self.link, message);
    }

    /// Sends a heartbeat if one is due, and waiting log lines, and says which telemetry is due.
    /// A supervisor that does not read gets no telemetry on top.
    pub fn turn(&mut self, now: Time, links: &mut Links) -> Due {
        send_log_lines(self.link, links);
        if self.heartbeat_at <= now {
            self.heartbeat_at = now + limits::HEARTBEAT_INTERVAL;
            let heartbeat = Heartbeat { at: now, is_waiting: self.is_waiting };
            links.send(self.link, &ChildToSupervisor::Heartbeat(heartbeat));
        }
        if facade::is_filling() {
            facade::drain(&mut self.metrics);
        }
        if self.telemetry_at > now {
            return Due { totals: false, latencies: false };
        }
        let last = std::mem::replace(&mut self.telemetry_at, due_after(now, self.phase));
        self.owes_latencies |= ends_second(last, self.phase);
        if links.is_congested(self.link) {
            return Due { totals: false, latencies: false };
        }
        let latencies = std::mem::take(&mut self.owes_latencies);
        if latencies {
            self.send_metrics(links);
        }
        Due { totals: true, latencies }
    }

    /// Says whether the child waits for another process: then nobody blames it for not being ready.
    pub fn set_waiting(&mut self, is_waiting: bool) {
        self.is_waiting = is_waiting;
    }

    /// Adds what others recorded to what is sent next.
    pub fn absorb(&mut self, metrics: &Metrics) {
        self.metrics.merge(metrics);
    }

    /// Sends what was recorded since the last time, and what has passed over all sockets.
    pub fn send_metrics(&mut self, links: &mut Links) {
        let net = links.net();
        links.send(self.link, &ChildToSupervisor::Net(net));
        facade::drain(&mut self.metrics);
        let mut delta = MetricsDelta { dropped: self.metrics.dropped(), ..MetricsDelta::default() };
        let mut histograms = Vec::new();
        for (number, _, value) in self.metrics.iter() {
            match value {
                Value::Count(0) => {}
                Value::Count(by) => delta.counters.push((number, *by)),
                Value::Values(values) if values.count() == 0 => {}
                Value::Values(values) => histograms.push((number, values.to_bytes())),
            }
        }
        delta.histograms = histograms.iter().map(|(number, bytes)| (*number, &bytes[..])).collect();
        if delta != MetricsDelta::default() {
            links.send(self.link, &ChildToSupervisor::Metrics(delta));
            self.metrics.clear();
        }
    }

    /// When [`Self::turn`] has something to do.
    pub fn deadline(&self) -> Time {
        self.heartbeat_at.min(self.telemetry_at)
    }

    /// Says why the child gives up.
    pub fn fail(&self, exit: u8, reason: &str, links: &mut Links) {
        send_log_lines(self.link, links);
        links.send(self.link, &ChildToSupervisor::Failure(Failure { exit, reason }));
    }
}

/// Adds what a process recorded.
///
/// # Errors
/// [`InvalidHistogram`] if some bytes are no histogram of ours.
pub fn merge_metrics(into: &mut Metrics, delta: &MetricsDelta<'_>) -> Result<(), InvalidHistogram> {
    for &(number, by) in &delta.counters {
        into.count(number, by);
    }
    for (number, bytes) in &delta.histograms {
        into.merge_bytes(*number, bytes)?;
    }
    into.drop_recordings(delta.dropped);
    Ok(())
}

/// Returns the first moment after `now` at which telemetry is due.
fn due_after(now: Time, phase: Duration) -> Time {
    let (interval, phase) = (nanos(limits::TELEMETRY_INTERVAL), nanos(phase));
    let passed = now.0.saturating_sub(phase) / interval;
    Time((passed + 1) * interval + phase)
}

/// Returns whether histograms are due with the telemetry of a moment.
fn ends_second(due: Time, phase: Duration) -> bool {
    let since = due.0.saturating_sub(nanos(phase));
    since.is_multiple_of(nanos(limits::LATENCIES_INTERVAL))
}

/// Sends the lines that wait, unless the supervisor does not read: then they wait on, and those
/// that find no room are counted.
fn send_log_lines(link: LinkId, links: &mut Links) {
    if links.is_congested(link) {
        return;
    }
    for Line { level, target, text } in LINES.take() {
        let line = LogLine { level, target: &target, text: &text };
        links.send(link, &ChildToSupervisor::Log(line));
    }
}

/// One line that waits to be sent.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    level: u8,
    target: String,
    text: String,
}

/// The process's log, until the event loop sends it.
struct Lines {
    waiting: Mutex<(VecDeque<Line>, u64)>,
}

static LINES: Lines = Lines { waiting: Mutex::new((VecDeque::new(), 0)) };

/// The level that a child logs down to before its supervisor has said another.
pub(super) const FIRST_LOG_LEVEL: log::LevelFilter = log::LevelFilter::Info;

/// Makes the `log` macros of this process speak to its supervisor.
pub fn log_to_supervisor() {
    if log::set_logger(&LINES).is_ok() {
        log::set_max_level(FIRST_LOG_LEVEL);
    }
}

impl Lines {
    fn push(&self, line: Line) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (lines, dropped) = &mut *waiting;
        if lines.len() < limits::LOG_LINES_WAITING_MAX {
            lines.push_back(line);
        } else {
            *dropped += 1;
        }
    }

    fn take(&self) -> VecDeque<Line> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (lines, dropped) = &mut *waiting;
        if *dropped > 0 {
            lines.push_back(Line {
                level: 2,
                target: module_path!().to_owned(),
                text: format!("log lines were dropped for want of room: count={dropped}"),
            });
            *dropped = 0;
        }
        std::mem::take(lines)
    }
}

impl log::Log for Lines {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        self.push(Line {
            level: number_of(record.level()),
            target: record.target().to_owned(),
            text: record.args().to_string(),
        });
    }

    fn flush(&self) {}
}

/// Returns the number of a level in a [`LogLine`].
pub(super) fn number_of(level: log::Level) -> u8 {
    match level {
        log::Level::Error => 1,
        log::Level::Warn => 2,
        log::Level::Info => 3,
        log::Level::Debug => 4,
        log::Level::Trace => 5,
    }
}

/// Returns the level that a [`LogLine`] names; an unknown number is the least important.
pub fn level_of(number: u8) -> log::Level {
    match number {
        1 => log::Level::Error,
        2 => log::Level::Warn,
        3 => log::Level::Info,
        4 => log::Level::Debug,
        _ => log::Level::Trace,
    }
}

#[cfg(test)]
mod tests {
    use super::super::links::CONTROL_LIMITS;
    use super::*;
    use crate::net::connection::Inbox;

    #[test]
    fn telemetry_is_due_at_the_same_moments_in_all_processes_of_a_role() {
        let phase = Duration::from_millis(30);
        let ms = |ms: u64| Time(ms * 1_000_000);
        for (now, due) in [(0, 280), (29, 280), (30, 280), (279, 280), (280, 530), (1030, 1280)] {
            assert_eq!(due_after(ms(now), phase), ms(due), "after {now} ms");
        }
        assert!(ends_second(ms(2030), phase) && !ends_second(ms(2280), phase));
        assert!(ends_second(Time::ZERO, phase), "the first word has histograms");
    }

    #[test]
    fn whoever_waits_for_another_process_says_so_with_each_heartbeat() {
        let mut links = Links::default();
        let link = links.insert(CONTROL_LIMITS);
        let mut control = Control::greet(link, 3, Duration::ZERO, &mut links);
        let mut told = Vec::new();
        for (beat, is_waiting) in (1..).zip([true, false]) {
            control.set_waiting(is_waiting);
            control.turn(Time::ZERO + limits::HEARTBEAT_INTERVAL * beat, &mut links);
        }
        let mut inbox = Inbox::default();
        let sent = links.get(link).unwrap().connection.outbox.pending();
        inbox.space()[..sent.len()].copy_from_slice(sent);
        inbox.filled(sent.len());
        while let Some(frame) = inbox.next_frame(u32::MAX).unwrap() {
            let word = ChildToSupervisor::decode(frame.kind, frame.payload).unwrap();
            if let ChildToSupervisor::Heartbeat(Heartbeat { is_waiting, .. }) = word {
                told.push(is_waiting);
            }
        }
        assert_eq!(told, [true, false]);
    }

    #[test]
    fn lines_beyond_the_bound_are_counted_and_said() {
        let lines = Lines { waiting: Mutex::default() };
        for number in 0..limits::LOG_LINES_WAITING_MAX + 3 {
            lines.push(Line { level: 3, target: String::new(), text: number.to_string() });
        }
        let taken = lines.take();
        assert_eq!(taken.len(), limits::LOG_LINES_WAITING_MAX + 1);
        assert!(taken.back().unwrap().text.ends_with("count=3"));
        assert!(lines.take().is_empty());
    }
}
