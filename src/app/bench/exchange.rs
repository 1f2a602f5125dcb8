//! Two ends of a bare socket: one asks and one answers, with blocking calls and nothing else.
//!
//! ```text
//! byte  0 .. 3 | 4    | 5
//!    slot      | peer | kind      little-endian, then zeros up to the length of its direction
//! ```
//!
//! Lengths are those of the product's frames. As many questions as there are slots are under way;
//! whoever asks sends the next one of a slot when the answer has come. Whatever one read brings is
//! answered with one write: the same batching as the product's.

use std::io::{self, Read, Write};
use std::time::Duration;

use engine::bench::now;
use engine::clock::Time;
use engine::perf::Histogram;

/// The length of a question: a request with 64 bytes, as long as the product's.
pub(super) const ASK_BYTES: usize = 113;
/// The length of an answer: the product's "done".
pub(super) const ANSWER_BYTES: usize = 29;
/// Where a question has the number of the process that asks.
pub(super) const PEER_AT: usize = 4;
/// Where an answer says what it is.
pub(super) const KIND_AT: usize = 5;
/// The answer that frees a slot.
pub(super) const DONE: u8 = 0;
/// An answer that only says that the question is known.
pub(super) const ACCEPTED: u8 = 1;

/// How long to ask, and how much at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asking {
    /// Questions under way.
    pub(super) slots: u32,
    /// What is done in this time is not counted.
    pub(super) warmup: Duration,
    /// What is done in the time after it is.
    pub(super) window: Duration,
}

/// What was answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answered {
    /// From each question to its answer.
    pub(super) latencies: Histogram,
    /// In which time.
    pub(super) window: Duration,
}

impl Answered {
    /// Returns answers per second.
    pub(super) fn per_second(&self) -> f64 {
        self.latencies.count() as f64 / self.window.as_secs_f64()
    }

    /// Adds what another process was answered in the same time.
    pub(super) fn merge(&mut self, other: &Self) {
        self.latencies.merge(&other.latencies);
        self.window = self.window.max(other.window);
    }

    /// Returns it as bytes: the window in nanoseconds, then the latencies.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = engine::clock::nanos(self.window).to_be_bytes().to_vec();
        bytes.extend(self.latencies.to_bytes());
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (window, latencies) = bytes.split_first_chunk()?;
        let window = Duration::from_nanos(u64::from_be_bytes(*window));
        Some(Self { latencies: Histogram::from_bytes(latencies).ok()?, window })
    }
}

/// Collects answers until the time is over. The product's side counts with it too.
#[derive(Debug)]
pub(super) struct Tally {
    asked_at: Vec<Time>,
    counts_from: Time,
    ends: Time,
    answered: Answered,
    under_way: u32,
}

impl Tally {
    /// Returns a tally of what is asked from now on, each slot's first question included.
    pub(super) fn begin(asking: Asking, now: Time) -> Self {
        let counts_from = now + asking.warmup;
        Self {
            asked_at: vec![now; asking.slots as usize],
            counts_from,
            ends: counts_from + asking.window,
            answered: Answered { window: asking.window, ..Answered::default() },
            under_way: asking.slots,
        }
    }

    /// Counts an answer and returns whether the slot may ask again.
    pub(super) fn take(&mut self, slot: u32, now: Time) -> bool {
        let Some(asked_at) = self.asked_at.get_mut(slot as usize) else { return false };
        if now >= self.counts_from && now < self.ends {
            self.answered.latencies.record(now.since(*asked_at));
        }
        *asked_at = now;
        let goes_on = now < self.ends;
        self.under_way -= u32::from(!goes_on);
        goes_on
    }

    /// Returns whether nothing is under way any more.
    pub(super) fn is_over(&self) -> bool {
        self.under_way == 0
    }

    /// Returns what was answered.
    pub(super) fn into_answered(self) -> Answered {
        self.answered
    }
}

/// Bytes that came, as frames of one length.
pub(super) struct Frames<const N: usize> {
    buf: Vec<u8>,
    len: usize,
}

impl<const N: usize> Frames<N> {
    pub(super) fn new() -> Self {
        Self { buf: vec![0; 64 * 1024], len: 0 }
    }

    /// Reads once, gives each whole frame, and returns whether the peer is still there.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn read(
        &mut self,
        stream: &mut impl Read,
        mut each: impl FnMut(&[u8; N]),
    ) -> io::Result<bool> {
        let count = stream.read(&mut self.buf[self.len..])?;
        self.len += count;
        let (frames, rest) = self.buf[..self.len].as_chunks::<N>();
        frames.iter().for_each(&mut each);
        let (start, rest) = (self.len - rest.len(), rest.len());
        self.buf.copy_within(start..start + rest, 0);
        self.len = rest;
        Ok(count > 0)
    }
}

/// Returns the slot of a frame.
pub(super) fn slot_of(frame: &[u8]) -> u32 {
    frame.first_chunk().map_or(0, |slot| u32::from_le_bytes(*slot))
}

fn put_ask(out: &mut Vec<u8>, slot: u32) {
    out.extend_from_slice(&slot.to_le_bytes());
    out.resize(out.len() + ASK_BYTES - 4, 0);
}

/// Appends an answer to a question.
pub(super) fn put_answer(out: &mut Vec<u8>, ask: &[u8], kind: u8) {
    out.extend_from_slice(&ask[..KIND_AT]);
    out.push(kind);
    out.resize(out.len() + ANSWER_BYTES - KIND_AT - 1, 0);
}

/// Asks until the time is over and all is answered.
///
/// # Errors
/// What the system says, or that the peer went away.
pub(super) fn ask(stream: &mut (impl Read + Write), asking: Asking) -> io::Result<Answered> {
    let mut frames = Frames::<ANSWER_BYTES>::new();
    let mut out = Vec::new();
    (0..asking.slots).for_each(|slot| put_ask(&mut out, slot));
    let mut tally = Tally::begin(asking, now());
    while !tally.is_over() {
        stream.write_all(&out)?;
        out.clear();
        let mut read_at = None;
        let is_there = frames.read(stream, |answer| {
            let now = *read_at.get_or_insert_with(now);
            let slot = slot_of(answer);
            if answer[KIND_AT] == DONE && tally.take(slot, now) {
                put_ask(&mut out, slot);
            }
        })?;
        if !is_there {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(tally.into_answered())
}

/// Answers until the peer goes away.
///
/// # Errors
/// What the system says.
pub(super) fn answer(stream: &mut (impl Read + Write)) -> io::Result<()> {
    let mut frames = Frames::<ASK_BYTES>::new();
    let mut out = Vec::new();
    while frames.read(stream, |ask| put_answer(&mut out, ask, DONE))? {
        stream.write_all(&out)?;
        out.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn questions_are_answered_until_the_time_is_over() {
        let (mut asks, mut answers) = UnixStream::pair().unwrap();
        let other = std::thread::spawn(move || answer(&mut answers));
        let asking = Asking {
            slots: 700,
            warmup: Duration::from_millis(1),
            window: Duration::from_millis(20),
        };
        let answered = ask(&mut asks, asking).unwrap();
        drop(asks);
        other.join().unwrap().unwrap();
        assert_eq!(answered.window, asking.window);
        assert_eq!(Answered::from_bytes(&answered.to_bytes()), Some(answered));
        assert_eq!(Answered::from_bytes(&[1, 2]), None);
    }

    #[test]
    fn frames_are_whole_however_they_are_cut() {
        let mut out = Vec::new();
        (0..5).for_each(|slot| put_ask(&mut out, slot));
        for step in [1, 7, ASK_BYTES, ASK_BYTES + 1, 1000] {
            let (mut frames, mut slots) = (Frames::<ASK_BYTES>::new(), Vec::new());
            for mut chunk in out.chunks(step) {
                assert!(frames.read(&mut chunk, |ask| slots.push(slot_of(ask))).unwrap());
            }
            assert_eq!(slots, [0, 1, 2, 3, 4], "{step} bytes at a time");
            assert!(!frames.read(&mut io::empty(), |_| ()).unwrap());
        }
    }

    #[test]
    fn only_what_comes_in_the_window_counts() {
        let ms = Duration::from_millis;
        let asking = Asking { slots: 2, warmup: ms(10), window: ms(10) };
        let mut tally = Tally::begin(asking, Time::ZERO);
        let at = |time_ms| Time::ZERO + ms(time_ms);
        assert!(tally.take(0, at(9)) && tally.take(0, at(10)) && tally.take(1, at(19)));
        assert!(!tally.take(0, at(20)) && !tally.is_over());
        assert!(!tally.take(1, at(21)) && tally.is_over());
        assert!(!tally.take(7, at(22)), "nobody asked");
        let answered = tally.into_answered();
        assert_eq!(answered.latencies.count(), 2);
        assert_eq!(answered.per_second(), 200.0);
    }
}
