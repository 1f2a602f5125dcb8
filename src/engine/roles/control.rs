//! A child's side of the control plane: hello, heartbeats, log lines, the time for telemetry.
//!
//! Heartbeats come from the role's own event loop, so a loop that hangs falls silent. Log lines
//! are kept in a bounded queue until the loop sends them; what does not fit is counted.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::links::{LinkId, Links};
use crate::clock::Time;
use crate::limits;
use crate::net::message::{ChildToSupervisor, Failure, Heartbeat, Hello, LogLine};
use crate::net::wire::Message;

/// A child's link to its supervisor.
#[derive(Debug)]
pub struct Control {
    link: LinkId,
    heartbeat_at: Time,
    telemetry_at: Time,
    latencies_at: Time,
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
    /// Says hello on `link`.
    pub fn greet(link: LinkId, number: u16, links: &mut Links) -> Self {
        let hello = Hello { number, pid: std::process::id() };
        links.send(link, &ChildToSupervisor::Hello(hello));
        Self { link, heartbeat_at: Time::ZERO, telemetry_at: Time::ZERO, latencies_at: Time::ZERO }
    }

    /// Returns the link to the supervisor.
    pub fn link(&self) -> LinkId {
        self.link
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
            let heartbeat = Heartbeat { at: now };
            links.send(self.link, &ChildToSupervisor::Heartbeat(heartbeat));
        }
        if self.telemetry_at > now {
            return Due { totals: false, latencies: false };
        }
        self.telemetry_at = now + limits::TELEMETRY_INTERVAL;
        if links.is_congested(self.link) {
            return Due { totals: false, latencies: false };
        }
        let latencies = self.latencies_at <= now;
        if latencies {
            self.latencies_at = now + limits::LATENCIES_INTERVAL;
        }
        Due { totals: true, latencies }
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

fn send_log_lines(link: LinkId, links: &mut Links) {
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

/// Makes the `log` macros of this process speak to its supervisor.
pub fn log_to_supervisor(level: log::LevelFilter) {
    if log::set_logger(&LINES).is_ok() {
        log::set_max_level(level);
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
        let level = match record.level() {
            log::Level::Error => 1,
            log::Level::Warn => 2,
            log::Level::Info => 3,
            log::Level::Debug => 4,
            log::Level::Trace => 5,
        };
        self.push(Line {
            level,
            target: record.target().to_owned(),
            text: record.args().to_string(),
        });
    }

    fn flush(&self) {}
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
    use super::*;

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
