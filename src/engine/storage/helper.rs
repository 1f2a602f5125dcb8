//! Threads that work for the log's writer: each does its jobs in order and reports; the writer
//! decides. A job that waits behind another is begun without asking, so a disk is never idle while
//! there is something to sync; until it is begun it can be taken back.
//!
//! A [`Helper`] without a thread does the same when it is asked for results, one job each time,
//! so that a simulation is the same on every run.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::{IoOp, LogError};

/// Who does the work that must not hold up an event loop.
#[derive(Clone)]
pub enum Hands {
    /// Threads, which call this when they have news.
    Threads(Arc<dyn Fn() + Send + Sync>),
    /// Whoever asks for the results, one job at a time, if this says so.
    Caller(Arc<dyn Fn() -> bool + Send + Sync>),
}

/// Does jobs `J` in order, each with one result `R`.
pub(super) enum Helper<J, R> {
    /// On a thread of its own.
    Thread { jobs: Arc<Jobs<J>>, results: Receiver<R>, thread: Option<JoinHandle<()>> },
    /// When results are asked for.
    Caller {
        jobs: VecDeque<J>,
        work: Box<dyn FnMut(J) -> R + Send>,
        works_now: Arc<dyn Fn() -> bool + Send + Sync>,
    },
}

/// Jobs that are not begun.
pub(super) struct Jobs<J> {
    waiting: Mutex<Waiting<J>>,
    given: Condvar,
}

struct Waiting<J> {
    jobs: VecDeque<J>,
    /// No more will be given.
    is_last: bool,
}

impl<J> Jobs<J> {
    fn lock(&self) -> MutexGuard<'_, Waiting<J>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, job: J) {
        self.lock().jobs.push_back(job);
        self.given.notify_one();
    }

    fn close(&self) {
        self.lock().is_last = true;
        self.given.notify_one();
    }

    /// Waits for a job; `None` after the last one.
    fn begin(&self) -> Option<J> {
        let is_idle = |waiting: &mut Waiting<J>| waiting.jobs.is_empty() && !waiting.is_last;
        let waiting = self.given.wait_while(self.lock(), is_idle);
        waiting.unwrap_or_else(PoisonError::into_inner).jobs.pop_front()
    }
}

/// The helper's thread has died; its panic has been reported.
#[derive(Debug)]
pub(super) struct Gone;

impl<J: Send + 'static, R: Send + 'static> Helper<J, R> {
    /// Starts a helper that does a job by calling `work`.
    pub(super) fn start(
        name: &str,
        hands: &Hands,
        mut work: impl FnMut(J) -> R + Send + 'static,
    ) -> Result<Self, LogError> {
        let notify = match hands {
            Hands::Caller(works_now) => {
                let works_now = Arc::clone(works_now);
                return Ok(Self::Caller { jobs: VecDeque::new(), work: Box::new(work), works_now });
            }
            Hands::Threads(notify) => Arc::clone(notify),
        };
        let waiting = Waiting { jobs: VecDeque::new(), is_last: false };
        let jobs = Arc::new(Jobs { waiting: Mutex::new(waiting), given: Condvar::new() });
        let orders = Arc::clone(&jobs);
        let (report, results) = channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Some(job) = orders.begin() {
                if report.send(work(job)).is_err() {
                    return;
                }
                notify();
            }
        });
        let path = Path::new("a thread").to_owned();
        let thread = thread.map_err(|source| LogError::Io { op: IoOp::Create, path, source })?;
        Ok(Self::Thread { jobs, results, thread: Some(thread) })
    }

    /// Gives a job.
    pub(super) fn give(&mut self, job: J) {
        match self {
            // A thread that has ended is reported when its results are asked for.
            Self::Thread { jobs, .. } => jobs.give(job),
            Self::Caller { jobs, .. } => jobs.push_back(job),
        }
    }

    /// Takes back the job that was given last, if it is not begun and `may_go`.
    pub(super) fn take_back(&mut self, may_go: impl FnOnce(&J) -> bool) -> Option<J> {
        let take = |jobs: &mut VecDeque<J>| jobs.pop_back_if(|job| may_go(job));
        match self {
            Self::Thread { jobs, .. } => take(&mut jobs.lock().jobs),
            Self::Caller { jobs, .. } => take(jobs),
        }
    }

    /// Returns the next result, if there is one.
    pub(super) fn next(&mut self) -> Option<Result<R, Gone>> {
        match self {
            Self::Thread { results, .. } => match results.try_recv() {
                Ok(result) => Some(Ok(result)),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(Err(Gone)),
            },
            Self::Caller { jobs, work, works_now } => {
                if works_now() {
                    jobs.pop_front().map(|job| Ok(work(job)))
                } else {
                    None
                }
            }
        }
    }

    /// Waits for the result of a job that was given.
    pub(super) fn wait(&mut self) -> Result<R, Gone> {
        match self {
            Self::Thread { results, .. } => results.recv().map_err(|_| Gone),
            Self::Caller { jobs, work, .. } => jobs.pop_front().map(work).ok_or(Gone),
        }
    }

    /// Waits for all jobs and returns their results.
    pub(super) fn finish(mut self) -> Vec<R> {
        if let Self::Thread { jobs, .. } = &self {
            jobs.close();
        }
        std::iter::from_fn(|| self.wait().ok()).collect()
    }
}

impl<J, R> Drop for Helper<J, R> {
    fn drop(&mut self) {
        if let Self::Thread { jobs, thread, .. } = self {
            jobs.close();
            if let Some(thread) = thread.take() {
                // A panic has been reported by the panic hook.
                let _ = thread.join();
            }
        }
    }
}
