//! The two helper threads of a writer: one syncs, one prepares the next segment.
//!
//! They only do what they are told and report; the writer decides. Neither ever touches what the
//! other or the writer is using.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{IoOp, LogError, segment};
use crate::clock::{Clock, SystemClock};
use crate::ids::Lsn;

/// What the syncing thread is told.
pub(super) enum Job {
    /// Make sure that a segment is on the disk up to its present end, which is this LSN.
    Sync { file: Arc<File>, path: Arc<PathBuf>, end: Lsn },
    /// A segment is full: sync it and cut the zeros off, then make the new name durable.
    Seal { file: Arc<File>, path: Arc<PathBuf>, bytes: u64, dir: PathBuf, end: Lsn },
}

/// What the syncing thread has done: all up to `end` is on the disk.
pub(super) enum Synced {
    /// As the policy wanted.
    Tail { end: Lsn, latency: Duration },
    /// Because the segment was full.
    Segment { end: Lsn },
}

/// A thread that syncs.
pub(super) struct Syncer {
    jobs: Option<Sender<Job>>,
    results: Receiver<Result<Synced, LogError>>,
    thread: Option<JoinHandle<()>>,
}

/// What a helper thread calls when it has news.
pub(super) type Notify = Arc<dyn Fn() + Send + Sync>;

/// A file of zeros that will be the next segment.
pub(super) type Prepared = (File, PathBuf);

/// A thread that prepares the next segment.
pub(super) struct Maker {
    orders: Option<Sender<()>>,
    results: Receiver<Result<Prepared, LogError>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// Starts the thread; it calls `notify` after each result.
    pub(super) fn start(notify: Notify) -> Result<Self, LogError> {
        let (jobs, orders) = channel();
        let (report, results) = channel();
        let thread = spawn("log-sync", move || {
            while let Ok(job) = orders.recv() {
                if report.send(carry_out(job)).is_err() {
                    return;
                }
                notify();
            }
        })?;
        Ok(Self { jobs: Some(jobs), results, thread: Some(thread) })
    }

    /// Gives the thread a job; jobs are done in order.
    pub(super) fn give(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // A thread that has ended is reported by `next`.
            let _ = jobs.send(job);
        }
    }

    /// Returns the next result, if there is one.
    pub(super) fn next(&self) -> Option<Result<Synced, LogError>> {
        match self.results.try_recv() {
            Ok(result) => Some(result),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(LogError::ReadOnly)),
        }
    }

    /// Waits for all jobs and returns the first failure.
    pub(super) fn finish(mut self) -> Result<(), LogError> {
        self.jobs = None;
        let mut first = Ok(());
        while let Ok(result) = self.results.recv() {
            first = first.and(result.map(|_| ()));
        }
        self.join();
        first
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.jobs = None;
        self.join();
    }
}

impl Maker {
    /// Starts the thread and has it prepare the first segment of `bytes` bytes in `dir`. It calls
    /// `notify` after each result.
    pub(super) fn start(dir: PathBuf, bytes: u64, notify: Notify) -> Result<Self, LogError> {
        let (orders, next_order) = channel();
        let (report, results) = channel();
        let thread = spawn("log-prepare", move || {
            while next_order.recv().is_ok() {
                if report.send(segment::prepare_segment(&dir, bytes)).is_err() {
                    return;
                }
                notify();
            }
        })?;
        let maker = Self { orders: Some(orders), results, thread: Some(thread) };
        maker.order();
        Ok(maker)
    }

    /// Waits for the prepared segment.
    pub(super) fn take(&self) -> Result<Prepared, LogError> {
        self.results.recv().map_err(|_| LogError::ReadOnly)?
    }

    /// Returns the prepared segment, or why there is none, if the thread is done with it.
    pub(super) fn try_take(&self) -> Option<Result<Prepared, LogError>> {
        match self.results.try_recv() {
            Ok(result) => Some(result),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(LogError::ReadOnly)),
        }
    }

    /// Has a segment prepared; the one before must have its final name by now.
    pub(super) fn order(&self) {
        if let Some(orders) = &self.orders {
            // A thread that has ended is reported by `take`.
            let _ = orders.send(());
        }
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, LogError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(segment::failed(IoOp::Create, std::path::Path::new("a thread")))
}

fn carry_out(job: Job) -> Result<Synced, LogError> {
    match job {
        Job::Sync { file, path, end } => {
            let began = SystemClock.now();
            file.sync_data().map_err(segment::failed(IoOp::Sync, &path))?;
            Ok(Synced::Tail { end, latency: SystemClock.now().since(began) })
        }
        Job::Seal { file, path, bytes, dir, end } => {
            file.set_len(bytes).map_err(segment::failed(IoOp::Cut, &path))?;
            file.sync_all().map_err(segment::failed(IoOp::Sync, &path))?;
            segment::sync_dir(&dir)?;
            Ok(Synced::Segment { end })
        }
    }
}
