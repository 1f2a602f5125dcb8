//! What the director looks at once a second, beside what processes tell it: how fast each of them
//! is, and the files of the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::clock::Time;
use engine::storage::SegmentFile;

use super::action::ProcessId;
use super::state::{ProcessRow, SEGMENT_ROWS_MAX, SegmentForm, SegmentRow, Trend};
use super::tally::rate;

/// How many tickets a process had at the last look, and how fast it was.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    at: Time,
    tickets: u64,
    trend: Trend,
}

impl Pace {
    /// Takes note of a count, once a second.
    fn look(&mut self, tickets: u64, now: Time) {
        if self.at.is_set() {
            // Who was started again counts from zero.
            self.trend.push(rate(self.tickets.min(tickets), tickets, self.at, now));
        }
        (self.at, self.tickets) = (now, tickets);
    }
}

/// How fast processes are.
#[derive(Debug, Default)]
pub(super) struct Paces(BTreeMap<ProcessId, Pace>);

impl Paces {
    /// Fills in how fast processes are, and takes note of their counts if this is a look.
    pub(super) fn apply(&mut self, rows: &mut [ProcessRow], look: Option<Time>) {
        if let Some(now) = look {
            let mut before = std::mem::take(&mut self.0);
            for row in rows.iter() {
                let mut pace = before.remove(&row.id).unwrap_or_default();
                pace.look(row.tickets, now);
                self.0.insert(row.id, pace);
            }
        }
        for row in rows {
            row.trend = self.0.get(&row.id).map(|pace| pace.trend).unwrap_or_default();
        }
    }
}

/// The files of the log at a look.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) bytes: u64,
    /// The newest ones.
    pub(super) rows: Arc<Vec<SegmentRow>>,
}

impl Files {
    /// Returns the files of a log of so many bytes, as the issuer counts them.
    pub(super) fn of(found: &[SegmentFile], log_bytes: u64) -> Self {
        let skipped = found.len().saturating_sub(SEGMENT_ROWS_MAX);
        let end = found.first().map_or(0, |file| file.first.0) + log_bytes;
        let row = |(at, file): (usize, &SegmentFile)| SegmentRow {
            name: file.name.clone(),
            first: file.first.0,
            form: match found.get(at + 1) {
                None => SegmentForm::Active,
                Some(_) if file.is_packed => SegmentForm::Packed,
                Some(_) => SegmentForm::Sealed,
            },
            bytes: match found.get(at + 1) {
                Some(next) => next.first.0 - file.first.0,
                // The issuer's count may be of another moment than the look.
                None => end.saturating_sub(file.first.0).min(file.bytes),
            },
            file_bytes: file.bytes,
        };
        Self {
            bytes: found.iter().map(|file| file.bytes).sum(),
            rows: Arc::new(found.iter().enumerate().skip(skipped).map(row).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing;
    use engine::ids::Lsn;

    fn file(first: u64, bytes: u64, is_packed: bool) -> SegmentFile {
        SegmentFile { name: format!("{first:016x}.seg"), first: Lsn(first), is_packed, bytes }
    }

    #[test]
    fn files_of_the_log_are_told_apart_and_the_last_one_is_written() {
        let found = [file(4096, 500, true), file(8192, 4096, false), file(12_288, 65_536, false)];
        let files = Files::of(&found, 9_000);
        let rows = &files.rows;
        let facts: Vec<_> =
            rows.iter().map(|row| (row.form.name(), row.bytes, row.file_bytes)).collect();
        assert_eq!(facts, [("packed", 4096, 500), ("sealed", 4096, 4096), ("active", 808, 65_536)]);
        assert_eq!(files.bytes, 500 + 4096 + 65_536);
        // The issuer's count is older than the look.
        assert_eq!(Files::of(&found, 0).rows[2].bytes, 0);
        assert!(Files::of(&[], 7).rows.is_empty());
    }

    #[test]
    fn only_the_newest_files_are_listed_and_all_are_counted() {
        let many = SEGMENT_ROWS_MAX as u64 + 3;
        let found: Vec<_> = (0..many).map(|at| file(at * 4096, 4096, false)).collect();
        let files = Files::of(&found, many * 4096);
        let rows = &files.rows;
        assert_eq!((rows.len(), rows[0].first), (SEGMENT_ROWS_MAX, 3 * 4096));
        assert_eq!(rows.last().unwrap().bytes, 4096);
        assert_eq!(files.bytes, many * 4096);
    }

    #[test]
    fn a_process_is_as_fast_as_its_count_grows() {
        let (mut paces, mut rows) = (Paces::default(), testing::app().processes);
        let second = |s: u64| Some(Time(s * 1_000_000_000));
        paces.apply(&mut rows, second(1));
        assert_eq!(rows[1].trend.rates().count(), 0, "one look is no rate");
        for (at, tickets) in [(2, 100), (3, 150), (4, 7)] {
            rows[1].tickets = 35_214_882 + tickets;
            if at == 4 {
                rows[1].tickets = tickets;
            }
            paces.apply(&mut rows, second(at));
        }
        let rates: Vec<f64> = rows[1].trend.rates().collect();
        assert_eq!(rates, [100.0, 50.0, 0.0], "who was started again counts from zero");
        rows.truncate(1);
        paces.apply(&mut rows, second(5));
        assert_eq!(paces.0.len(), 1, "who is gone is forgotten");
    }
}
