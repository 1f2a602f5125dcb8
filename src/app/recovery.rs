//! What a start of the issuer found in the log, and how far it is, in words.

use engine::net::message::IssuerReady;

use super::format;
use super::state::{Reading, RecoveryRow, Severity};

/// Says how far the opening of an earlier run's log is.
pub(crate) fn progress(reading: Option<Reading>) -> String {
    match reading {
        None => "checking the index".to_owned(),
        Some(Reading { records, bytes, bytes_total }) => format!(
            "reading an earlier run's log: {} records, {}",
            format::count(records),
            format::percent_done(bytes, bytes_total)
        ),
    }
}

impl From<&IssuerReady> for RecoveryRow {
    fn from(ready: &IssuerReady) -> Self {
        let rebuilt = ready.rebuilt.as_ref();
        Self {
            segments: ready.segments,
            rebuilt: rebuilt.map(|rebuilt| rebuilt.reason.clone()),
            lost_keys: rebuilt.map_or(0, |rebuilt| rebuilt.lost_keys),
            records: ready.records,
            requeued: ready.requeued,
            torn_bytes: ready.torn_bytes,
            kept_aside: ready.kept_aside.clone(),
            elapsed: ready.elapsed,
        }
    }
}

impl RecoveryRow {
    /// Returns whether there was no log before.
    pub(crate) fn is_new(&self) -> bool {
        self.segments == 0
    }

    /// Returns whether the log or its index was not as an orderly end leaves it.
    pub(crate) fn is_odd(&self) -> bool {
        !self.is_new() && (self.rebuilt.is_some() || self.torn_bytes > 0 || self.lost_keys > 0)
    }

    /// Returns what was found, the most important first.
    pub(crate) fn facts(&self) -> Vec<String> {
        if self.is_new() {
            return vec!["a new log".to_owned()];
        }
        let index = if self.rebuilt.is_some() { "index made anew" } else { "index whole" };
        let elapsed = format::duration(self.elapsed);
        let mut facts = vec![
            index.to_owned(),
            format!("{} read in {elapsed}", format::counted(self.records, "record")),
            format!("{} open", format::counted(self.requeued, "ticket")),
        ];
        facts.extend(self.rebuilt.clone());
        facts
    }

    /// Returns what people should know, each with how bad it is.
    pub(crate) fn news(&self) -> Vec<(Severity, String)> {
        let mut news = Vec::new();
        if self.lost_keys > 0 {
            let text = format!(
                "LOST: {} that the index knew and the log has no more, though the disk had it; if \
                 that matters, restore the data directory from a copy",
                format::counted(self.lost_keys, "record")
            );
            news.push((Severity::Error, text));
        }
        if self.torn_bytes > 0 {
            let place = self.kept_aside.as_deref().unwrap_or("files of their own beside the log");
            let text = format!(
                "a crash tore the log's last {}; they were cut off and are kept in {place}",
                format::bytes(self.torn_bytes)
            );
            news.push((Severity::Warning, text));
        }
        if let Some(reason) = self.rebuilt.as_ref().filter(|_| !self.is_new()) {
            let records = format::counted(self.records, "record");
            let text = format!("the index was made anew from {records}: {reason}");
            news.push((Severity::Warning, text));
        }
        if self.requeued > 0 {
            let text =
                format!("{} queued again", format::counted(self.requeued, "unfinished ticket"));
            news.push((Severity::Info, text));
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine::net::message::IndexRebuilt;

    use super::*;

    fn check(ready: &IssuerReady, facts: &str, news: &[(Severity, &str)]) {
        let row = RecoveryRow::from(ready);
        assert_eq!(row.facts().join(", "), facts);
        let found = row.news();
        let severities: Vec<_> = found.iter().map(|(severity, _)| *severity).collect();
        assert_eq!(severities, news.iter().map(|(severity, _)| *severity).collect::<Vec<_>>());
        for ((_, text), (_, part)) in found.iter().zip(news) {
            assert!(text.contains(part), "{text:?} should say {part:?}");
        }
        let is_odd = news.iter().any(|(severity, _)| *severity > Severity::Info);
        assert_eq!(row.is_odd(), is_odd);
    }

    #[test]
    fn what_was_found_is_told() {
        let rebuilt =
            |reason: &str, lost_keys| Some(IndexRebuilt { reason: reason.to_owned(), lost_keys });
        let new = IssuerReady { rebuilt: rebuilt("there was none", 0), ..IssuerReady::default() };
        check(&new, "a new log", &[]);
        let clean = IssuerReady {
            segments: 3,
            elapsed: Duration::from_millis(12),
            ..IssuerReady::default()
        };
        check(&clean, "index whole, 0 records read in 12.0ms, 0 tickets open", &[]);
        let crashed = IssuerReady {
            records: 1200,
            requeued: 7,
            torn_bytes: 4200,
            kept_aside: Some("log/torn-0.0.bin".to_owned()),
            rebuilt: rebuilt("a crash left it", 2),
            ..clean
        };
        let news = [
            (Severity::Error, "LOST: 2 records that the index knew"),
            (Severity::Warning, "4.10 KiB; they were cut off and are kept in log/torn-0.0.bin"),
            (Severity::Warning, "made anew from 1 200 records: a crash left it"),
            (Severity::Info, "7 unfinished"),
        ];
        let facts =
            "index made anew, 1 200 records read in 12.0ms, 7 tickets open, a crash left it";
        check(&crashed, facts, &news);
    }

    #[test]
    fn progress_is_never_made_up() {
        assert_eq!(progress(None), "checking the index");
        let reading = Reading { records: 1_204_112, bytes: 439, bytes_total: 1000 };
        let text = "reading an earlier run's log: 1 204 112 records, 43 %";
        assert_eq!(progress(Some(reading)), text);
    }
}
