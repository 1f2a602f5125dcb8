//! Recording: from hot paths of any thread to the one that reports.
//!
//! ```text
//! count!, observe!, timed!  ->  the thread's counters and ring  ->  drain (batcher)  ->  Metrics
//! ```
//!
//! A thread adds to counters of its own and pushes values into a ring of its own, so recording
//! waits for nobody and allocates nothing. The process's event loop drains all rings into its
//! [`Metrics`](super::Metrics) with every report, and its own ring whenever that is half full. A
//! value that finds the ring full is dropped and counted.
//!
//! Without the feature `metrics` the macros expand to nothing: neither the value nor the clock is
//! looked at. With it, [`set_recording`] turns them off at run time.

/// Adds to a counter of the catalog: `count!(LOOP_READ_BYTES, bytes)`.
#[macro_export]
macro_rules! count {
    ($metric:ident, $by:expr) => {{
        #[cfg(feature = "metrics")]
        $crate::perf::facade::count($crate::perf::catalog::$metric, $by);
        #[cfg(not(feature = "metrics"))]
        if false {
            let _: u64 = $by;
        }
    }};
}

/// Records a value of a histogram of the catalog: `observe!(LOGSTORE_BATCH, records)`.
#[macro_export]
macro_rules! observe {
    ($metric:ident, $value:expr) => {{
        #[cfg(feature = "metrics")]
        $crate::perf::facade::observe($crate::perf::catalog::$metric, || $value);
        #[cfg(not(feature = "metrics"))]
        if false {
            let _: u64 = $value;
        }
    }};
}

/// Runs an expression and records how long it took: `timed!(LOGSTORE_WRITE, file.write(bytes))`.
#[macro_export]
macro_rules! timed {
    ($metric:ident, $work:expr) => {{
        #[cfg(feature = "metrics")]
        let began = $crate::perf::facade::began();
        let done = $work;
        #[cfg(feature = "metrics")]
        $crate::perf::facade::observe_since($crate::perf::catalog::$metric, began);
        done
    }};
}

#[cfg(not(feature = "metrics"))]
pub use off::*;
#[cfg(feature = "metrics")]
pub use on::*;

#[cfg(feature = "metrics")]
mod on {
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};

    use rtrb::{Consumer, Producer, RingBuffer};

    use crate::clock::{Clock, SystemClock, Time, nanos};
    use crate::limits;
    use crate::perf::catalog::METRICS;
    use crate::perf::metrics::Metrics;

    static IS_RECORDING: AtomicBool = AtomicBool::new(true);
    /// The other ends of all threads that have recorded.
    static SOURCES: Mutex<Vec<Source>> = Mutex::new(Vec::new());

    thread_local! {
        static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) };
    }

    /// A value on its way.
    #[derive(Clone, Copy)]
    struct Recording {
        metric: u16,
        value: u64,
    }

    /// A thread's own end.
    struct Recorder {
        ring: Producer<Recording>,
        counters: Arc<Counters>,
    }

    /// What only one thread writes and only the batcher reads.
    struct Counters {
        sums: [AtomicU64; METRICS.len()],
        dropped: AtomicU64,
    }

    /// The batcher's end of a thread.
    struct Source {
        ring: Consumer<Recording>,
        counters: Arc<Counters>,
        /// What has been taken over of the counters.
        taken: [u64; METRICS.len()],
        dropped_taken: u64,
    }

    /// Turns recording on or off in this process.
    pub fn set_recording(is_on: bool) {
        IS_RECORDING.store(is_on, Ordering::Relaxed);
    }

    /// Returns whether recordings are kept.
    #[inline]
    pub fn is_recording() -> bool {
        IS_RECORDING.load(Ordering::Relaxed)
    }

    /// Adds to a counter; use [`count!`](crate::count).
    #[inline]
    pub fn count(metric: u16, by: u64) {
        if is_recording() {
            with_recorder(|recorder| add(&recorder.counters.sums[usize::from(metric)], by));
        }
    }

    /// Records a value; use [`observe!`](crate::observe).
    #[inline]
    pub fn observe(metric: u16, value: impl FnOnce() -> u64) {
        if is_recording() {
            // First: it may record something itself.
            let value = value();
            with_recorder(|recorder| recorder.push(metric, value));
        }
    }

    /// Returns the present moment if it is of use; use [`timed!`](crate::timed).
    #[inline]
    pub fn began() -> Option<Time> {
        is_recording().then(|| SystemClock.now())
    }

    /// Records the time since `began`; use [`timed!`](crate::timed).
    #[inline]
    pub fn observe_since(metric: u16, began: Option<Time>) {
        if let Some(began) = began {
            observe(metric, || nanos(SystemClock.now().since(began)));
        }
    }

    /// Moves all that was recorded in this process into `metrics`.
    pub fn drain(metrics: &mut Metrics) {
        let mut sources = SOURCES.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain_mut(|source| source.drain(metrics));
    }

    /// Returns whether this thread's ring should be drained soon.
    pub fn is_filling() -> bool {
        RECORDER.with_borrow(|recorder| {
            let ring = recorder.as_ref().map(|recorder| &recorder.ring);
            ring.is_some_and(|ring| ring.slots() < limits::RECORDINGS_WAITING_MAX / 2)
        })
    }

    #[inline]
    fn with_recorder(act: impl FnOnce(&mut Recorder)) {
        // A thread that is ending has no recorder any more; its last words are not kept.
        let _ = RECORDER.try_with(|recorder| {
            let mut recorder = recorder.borrow_mut();
            act(recorder.get_or_insert_with(Recorder::register));
        });
    }

    /// Only this thread writes, so no atomic addition is needed.
    #[inline]
    fn add(sum: &AtomicU64, by: u64) {
        sum.store(sum.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
    }

    impl Recorder {
        #[cold]
        fn register() -> Self {
            let (ring, consumer) = RingBuffer::new(limits::RECORDINGS_WAITING_MAX);
            let sums = [const { AtomicU64::new(0) }; METRICS.len()];
            let counters = Arc::new(Counters { sums, dropped: AtomicU64::new(0) });
            let source = Source {
                ring: consumer,
                counters: Arc::clone(&counters),
                taken: [0; METRICS.len()],
                dropped_taken: 0,
            };
            SOURCES.lock().unwrap_or_else(PoisonError::into_inner).push(source);
            Self { ring, counters }
        }

        #[inline]
        fn push(&mut self, metric: u16, value: u64) {
            if self.ring.push(Recording { metric, value }).is_err() {
                add(&self.counters.dropped, 1);
            }
        }
    }

    impl Source {
        /// Returns whether the thread may record more.
        fn drain(&mut self, metrics: &mut Metrics) -> bool {
            let is_alive = !self.ring.is_abandoned();
            // What comes meanwhile waits for the next time, so this ends.
            let waiting = self.ring.slots();
            if let Ok(chunk) = self.ring.read_chunk(waiting) {
                for Recording { metric, value } in chunk {
                    metrics.observe(metric, value);
                }
            }
            for (number, (sum, taken)) in (0..).zip(self.counters.sums.iter().zip(&mut self.taken))
            {
                let sum = sum.load(Ordering::Relaxed);
                if sum != *taken {
                    metrics.count(number, sum.wrapping_sub(*taken));
                    *taken = sum;
                }
            }
            let dropped = self.counters.dropped.load(Ordering::Relaxed);
            metrics.drop_recordings(dropped - self.dropped_taken);
            self.dropped_taken = dropped;
            is_alive
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod off {
    use crate::perf::metrics::Metrics;

    /// Does nothing: recording is compiled out.
    pub fn set_recording(_is_on: bool) {}

    /// Returns that nothing is kept.
    pub fn is_recording() -> bool {
        false
    }

    /// Does nothing: nothing was recorded.
    pub fn drain(_metrics: &mut Metrics) {}

    /// Returns that nothing waits.
    pub fn is_filling() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;
    use crate::perf::catalog::{DASHBOARD_SEND, USER_RESEND};
    use crate::perf::metrics::{Metrics, Value};

    /// Tests of one process share its rings, so each looks at metrics that only it records.
    fn found(metrics: &Metrics, number: u16) -> u64 {
        let value = metrics.iter().nth(usize::from(number)).map(|(.., value)| value.clone());
        match value {
            Some(Value::Count(sum)) => sum,
            Some(Value::Values(values)) => values.count(),
            None => 0,
        }
    }

    #[test]
    fn what_threads_recorded_is_drained_once_and_without_the_feature_nothing_is_evaluated() {
        let mut evaluated = 0;
        let mut value = || {
            evaluated += 1;
            7
        };
        count!(USER_RESEND, value());
        observe!(DASHBOARD_SEND, value());
        let kept = u64::from(cfg!(feature = "metrics"));
        assert_eq!(evaluated, 2 * kept);
        let full = limits::RECORDINGS_WAITING_MAX as u64;
        std::thread::spawn(move || {
            for _ in 0..full + 5 {
                observe!(DASHBOARD_SEND, 3);
            }
            count!(USER_RESEND, 4);
        })
        .join()
        .unwrap();
        let mut metrics = Metrics::default();
        drain(&mut metrics);
        assert_eq!(found(&metrics, USER_RESEND), 11 * kept);
        assert_eq!(found(&metrics, DASHBOARD_SEND), (full + 1) * kept);
        // Five of this ring's; others may have filled theirs.
        assert!(metrics.dropped() >= 5 * kept, "a full ring drops and counts");
        let mut again = Metrics::default();
        drain(&mut again);
        assert_eq!((found(&again, USER_RESEND), found(&again, DASHBOARD_SEND)), (0, 0));
    }
}
