//! Work that uses a CPU or a disk, done on threads beside a worker's event loop.
//!
//! The loop must keep turning while a seat computes, or its heartbeats would stop. There are as
//! many threads as seats have needed at once; they live as long as the process.

use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::FixedState;
use mio::Waker;
use nix::time::{ClockId, clock_gettime};

use crate::clock::{Clock, SystemClock, sleep_until};
use crate::config::scenario::Work;
use crate::limits;

/// One piece of work, with whatever the worker needs to know it again.
#[derive(Clone, Copy, Debug)]
pub struct Job<T> {
    /// The worker's own note.
    pub note: T,
    /// What to do.
    pub work: Work,
    /// How much of it.
    pub demand: Duration,
}

/// Threads that work.
pub struct Hands<T> {
    jobs: Sender<Job<T>>,
    next_job: Arc<Mutex<Receiver<Job<T>>>>,
    done: Receiver<T>,
    report: Sender<T>,
    waker: Arc<Waker>,
    scratch_dir: PathBuf,
    threads: u32,
    busy: u32,
}

impl<T: Send + 'static> Hands<T> {
    /// Returns no hands; they come with the work. `waker` is woken when a job is done, scratch
    /// files are made in `scratch_dir`.
    pub fn new(waker: Arc<Waker>, scratch_dir: PathBuf) -> Self {
        let (jobs, next_job) = channel();
        let (report, done) = channel();
        let next_job = Arc::new(Mutex::new(next_job));
        Self { jobs, next_job, done, report, waker, scratch_dir, threads: 0, busy: 0 }
    }

    /// Gives a job to a free hand, or to a new one. The caller's seats bound how many there are.
    ///
    /// # Errors
    /// What the system says when it has no thread or no scratch file left.
    pub fn give(&mut self, job: Job<T>) -> io::Result<()> {
        if self.busy == self.threads {
            self.start_thread()?;
        }
        self.busy += 1;
        self.jobs.send(job).map_err(|_| io::Error::other("all working threads have ended"))
    }

    /// Returns the note of a job that is done.
    pub fn next_done(&mut self) -> Option<T> {
        let note = self.done.try_recv().ok()?;
        self.busy -= 1;
        Some(note)
    }

    fn start_thread(&mut self) -> io::Result<()> {
        let jobs = Arc::clone(&self.next_job);
        let (report, waker) = (self.report.clone(), Arc::clone(&self.waker));
        let scratch = Scratch::new(&self.scratch_dir);
        std::thread::Builder::new().name("seat".to_owned()).spawn(move || {
            let mut hand = Hand { scratch, memory: Vec::new() };
            loop {
                let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(job) = job else { return };
                hand.work(job.work, job.demand);
                if report.send(job.note).is_err() || waker.wake().is_err() {
                    return;
                }
            }
        })?;
        self.threads += 1;
        Ok(())
    }
}

/// What one thread keeps from job to job.
struct Hand {
    scratch: Scratch,
    memory: Vec<u8>,
}

impl Hand {
    fn work(&mut self, work: Work, demand: Duration) {
        match work {
            Work::Sleep => sleep_until(SystemClock.now() + demand),
            Work::Spin => spin(demand),
            Work::Hash => self.hash(demand),
            Work::Io { bytes } => {
                let until = SystemClock.now() + demand;
                if let Err(error) = self.scratch.write(bytes as usize) {
                    log::warn!("a ticket's bytes could not be written: error={error}");
                }
                sleep_until(until);
            }
        }
    }

    fn hash(&mut self, demand: Duration) {
        const BLOCK_BYTES: usize = 16 * 1024;
        if self.memory.is_empty() {
            self.memory = vec![0x5a; limits::HASH_MEMORY_BYTES];
        }
        let end = cpu_time() + demand;
        let mut hasher = FixedState::default().build_hasher();
        for block in self.memory.chunks(BLOCK_BYTES).cycle() {
            if cpu_time() >= end {
                break;
            }
            hasher.write(block);
        }
        std::hint::black_box(hasher.finish());
    }
}

fn spin(demand: Duration) {
    const STEPS: u64 = 4096;
    let end = cpu_time() + demand;
    let mut sum = 1_u64;
    while cpu_time() < end {
        for step in 0..STEPS {
            sum = sum.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step);
        }
        sum = std::hint::black_box(sum);
    }
}

/// CPU time of the calling thread: it stands still while another thread has the core, so a busy
/// machine makes the work take longer, not less.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::MAX, Duration::from)
}

/// A file without a name, written round and round.
struct Scratch {
    dir: PathBuf,
    file: Option<File>,
    offset: u64,
    bytes: Vec<u8>,
}

impl Scratch {
    fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), file: None, offset: 0, bytes: Vec::new() }
    }

    fn write(&mut self, bytes: usize) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(nameless_file(&self.dir)?);
        }
        let Some(file) = &self.file else {
            return Ok(());
        };
        self.bytes.resize(bytes, 0x5a);
        if self.offset + bytes as u64 > limits::SCRATCH_BYTES_MAX {
            self.offset = 0;
        }
        file.write_all_at(&self.bytes, self.offset)?;
        self.offset += bytes as u64;
        file.sync_data()
    }
}

fn nameless_file(dir: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .write(true)
        .mode(0o600)
        .custom_flags(nix::fcntl::OFlag::O_TMPFILE.bits())
        .open(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one job to a hand and returns the CPU time and the elapsed time of the work.
    fn check(work: Work, demand: Duration) -> (Duration, Duration) {
        let dir = tempfile::tempdir().unwrap();
        let mut hand = Hand { scratch: Scratch::new(dir.path()), memory: Vec::new() };
        let (cpu, began) = (cpu_time(), SystemClock.now());
        hand.work(work, demand);
        (cpu_time() - cpu, SystemClock.now().since(began))
    }

    #[test]
    fn spin_and_hash_burn_the_demanded_cpu_time() {
        let demand = Duration::from_millis(3);
        for work in [Work::Spin, Work::Hash] {
            let (cpu, _) = check(work, demand);
            assert!(cpu >= demand, "{work:?} took {cpu:?}");
        }
    }

    #[test]
    fn sleep_and_io_take_at_least_the_demanded_time() {
        let demand = Duration::from_millis(3);
        for work in [Work::Sleep, Work::Io { bytes: 100_000 }] {
            let (_, elapsed) = check(work, demand);
            assert!(elapsed >= demand, "{work:?} took {elapsed:?}");
        }
    }

    #[test]
    fn a_scratch_file_stays_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let mut scratch = Scratch::new(dir.path());
        scratch.offset = limits::SCRATCH_BYTES_MAX - 10;
        scratch.write(4096).unwrap();
        assert_eq!(scratch.offset, 4096);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "it has no name");
    }

    #[test]
    fn every_job_is_reported_once() {
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let mut hands = Hands::new(waker, PathBuf::from("."));
        for note in 0..3 {
            hands.give(Job { note, work: Work::Spin, demand: Duration::ZERO }).unwrap();
        }
        assert!(hands.threads >= 1);
        let mut notes: Vec<i32> = (0..3).map(|_| hands.done.recv().unwrap()).collect();
        notes.sort();
        assert_eq!(notes, [0, 1, 2]);
    }
}
