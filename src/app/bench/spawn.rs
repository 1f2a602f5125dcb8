//! Starting processes: from the call until the first word of the child.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use engine::bench::now;
use engine::clock::Time;
use engine::limits;
use engine::net::connection::Inbox;
use engine::net::message::ChildToSupervisor;
use engine::net::wire::Message;
use engine::perf::Histogram;
use engine::supervisor::Pid;
use engine::supervisor::spawn::{Spawned, Spawner, Stderr};
use nix::sys::wait::waitpid;

use super::limit::Split;
use super::relay::Part;
use super::report::{Group, Row, Sample, Told, Unit};
use super::{Bench, BenchError, Subject};

/// The role that is started.
const ROLE: &str = "worker";
/// How long a child may take to say its first word.
const PATIENCE: Duration = Duration::from_secs(10);

/// Measures all rows.
pub(super) fn measure(bench: &Bench) -> Result<Group, BenchError> {
    let spawner = Spawner::own_executable();
    let mut rows = Vec::new();
    for (name, count) in [("workers, one at a time", 1), ("workers, 16 at once", 16)] {
        rows.push(births(bench, &spawner, name, count)?);
    }
    let floor = "the same executable, which writes a byte to a pipe at once and ends";
    Ok(Group { subject: Subject::Spawn, floor, rows, told: Told::Farthest })
}

fn births(bench: &Bench, spawner: &Spawner, name: &str, count: u16) -> Result<Row, BenchError> {
    let measured = bench.compare(
        Subject::Spawn,
        name,
        bench.turns(),
        |window| repeat(window, |births| start_workers(spawner, count, births)),
        |window| repeat(window, |births| start_parts(count, births)),
    )?;
    let split = Split {
        per: "process",
        machine: "the kernel's spawn and the loading of the program",
        own: "the role's own start until its hello",
    };
    let limit = split.tell_rates(measured.product.value, measured.floor.value);
    Ok(measured.row(name, Unit::PerSecond("processes"), limit))
}

/// First words and when they came.
#[derive(Default)]
struct Births {
    latencies: Histogram,
    /// From the first call to the last word, of all rounds.
    took: Duration,
}

/// Starts processes until the time is over, at least once.
fn repeat(
    window: Duration,
    mut start: impl FnMut(&mut Births) -> Result<(), BenchError>,
) -> Result<Sample, BenchError> {
    let mut births = Births::default();
    let began = now();
    while births.latencies.count() == 0 || now().since(began) < window {
        start(&mut births)?;
    }
    let value = births.latencies.count() as f64 / births.took.as_secs_f64();
    Ok(Sample { value, spread: births.latencies.spread() })
}

/// Waits for the first word of each child, in the order of their birth.
fn hear<C>(
    births: &mut Births,
    began: Time,
    children: &mut [(Time, C)],
    mut first_word: impl FnMut(&mut C) -> std::io::Result<()>,
) -> Result<(), BenchError> {
    for (born_at, child) in children {
        first_word(child).map_err(|error| BenchError::Ended {
            what: "a child process",
            why: error.to_string(),
        })?;
        births.latencies.record(now().since(*born_at));
    }
    births.took += now().since(began);
    Ok(())
}

/// A worker, which ends with its control connection.
struct Worker(Option<Spawned>);

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(Spawned { pid, control, .. }) = self.0.take() {
            drop(control);
            reap(pid);
        }
    }
}

fn reap(pid: Pid) {
    // It is a child of ours, and nobody else reaps it; a signal only interrupts the wait.
    while waitpid(pid, None) == Err(nix::errno::Errno::EINTR) {}
}

fn start_workers(spawner: &Spawner, count: u16, births: &mut Births) -> Result<(), BenchError> {
    let began = now();
    let spawn =
        |number| Ok((now(), Worker(Some(spawner.spawn(ROLE, Some(number), Stderr::Share)?))));
    let mut workers = (0..count).map(spawn).collect::<Result<Vec<_>, BenchError>>()?;
    hear(births, began, &mut workers, |worker| worker.0.as_mut().map_or(Ok(()), hear_hello))
}

/// Reads until the child has said hello.
fn hear_hello(worker: &mut Spawned) -> std::io::Result<()> {
    let control = &mut worker.control;
    control.set_nonblocking(false)?;
    control.set_read_timeout(Some(PATIENCE))?;
    let mut inbox = Inbox::default();
    loop {
        let count = control.read(inbox.space())?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        inbox.filled(count);
        let frame = inbox.next_frame(limits::CONTROL_FRAME_BYTES_MAX);
        if let Some(frame) = frame.map_err(std::io::Error::other)? {
            let word = ChildToSupervisor::decode(frame.kind, frame.payload);
            return match word.map_err(std::io::Error::other)? {
                ChildToSupervisor::Hello(_) => Ok(()),
                other => Err(std::io::Error::other(format!("it said {other:?}"))),
            };
        }
    }
}

/// A part of a floor, which ends by itself.
struct PartChild(Child);

impl Drop for PartChild {
    fn drop(&mut self) {
        // A child that is gone needs no wait.
        let _ = self.0.wait();
    }
}

fn start_parts(count: u16, births: &mut Births) -> Result<(), BenchError> {
    let began = now();
    let spawn = |_| {
        let mut command = Part::Hello.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let born_at = now();
        let child = command.spawn().map_err(|source| BenchError::Start { source })?;
        Ok((born_at, PartChild(child)))
    };
    let mut parts = (0..count).map(spawn).collect::<Result<Vec<_>, BenchError>>()?;
    hear(births, began, &mut parts, |part| match &mut part.0.stdout {
        Some(pipe) => pipe.read_exact(&mut [0]),
        None => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_one_is_started_however_short_the_time() {
        let mut rounds = 0;
        let sample = repeat(Duration::ZERO, |births| {
            rounds += 1;
            births.took += Duration::from_millis(20);
            births.latencies.record(Duration::from_millis(10));
            births.latencies.record(Duration::from_millis(20));
            Ok(())
        })
        .unwrap();
        assert_eq!((rounds, sample.value), (1, 100.0));
        assert!(sample.spread.unwrap().p99 >= Duration::from_millis(20));
    }

    #[test]
    fn a_child_that_says_nothing_is_an_error() {
        let mut children = [(now(), ())];
        let silent = |_: &mut ()| Err(std::io::ErrorKind::UnexpectedEof.into());
        let heard = hear(&mut Births::default(), now(), &mut children, silent);
        assert!(heard.unwrap_err().to_string().starts_with("a child process ended early"));
    }
}
