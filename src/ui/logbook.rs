//! The lines that were logged, read out of tui-logger's buffer, so that they can be filtered,
//! searched, selected and looked at as they were at a moment.
//!
//! tui-logger gives its lines only to a widget's formatter, so one is drawn off the screen, just
//! high enough for the lines that are new.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use engine::clock::WallTime;
use log::{Level, LevelFilter};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Widget;
use tui_logger::{ExtLogRecord, LogFormatter, TuiLoggerWidget};

use crate::app::logging::{self, Counts};

/// Lines that are kept.
pub(crate) const LINES_MAX: usize = 2_000;
/// Lines beyond the new ones that are read, to find where the new ones begin.
const MARGIN: u64 = 8;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogLine {
    /// They are numbered from one, without gaps.
    pub(crate) number: u64,
    pub(crate) wall: WallTime,
    pub(crate) level: Level,
    /// The role or the part of the director that said it.
    pub(crate) source: String,
    pub(crate) text: String,
}

impl LogLine {
    fn is_same(&self, other: &Self) -> bool {
        (self.wall, &self.text) == (other.wall, &other.text)
    }
}

/// The newest lines, and how many there were of each sort.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogBook {
    /// Oldest first.
    lines: Arc<VecDeque<LogLine>>,
    pub(crate) counts: Counts,
}

impl LogBook {
    /// Adds what was logged since.
    pub(crate) fn read(&mut self) {
        let counts = logging::counts();
        let fresh = counts.lines - self.counts.lines;
        if fresh == 0 {
            return;
        }
        self.counts = counts;
        tui_logger::move_events();
        let newest = newest(usize::try_from(fresh + MARGIN).unwrap_or(LINES_MAX).min(LINES_MAX));
        self.add(newest);
    }

    /// Adds the newest lines, some of which may be there already.
    pub(crate) fn add(&mut self, newest: Vec<LogLine>) {
        let lines = Arc::make_mut(&mut self.lines);
        let known =
            lines.back().and_then(|last| newest.iter().rposition(|line| line.is_same(last)));
        let next = lines.back().map_or(1, |last| last.number + 1);
        let fresh = newest.into_iter().skip(known.map_or(0, |at| at + 1));
        for (number, line) in (next..).zip(fresh) {
            if lines.len() == LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(LogLine { number, ..line });
        }
    }

    /// Returns the newest of the lines that a person wants to see, oldest first, so many at most.
    pub(crate) fn newest(
        &self,
        view: &LogView,
        until: Option<WallTime>,
        count: usize,
    ) -> Vec<&LogLine> {
        let fits = |line: &&LogLine| {
            line.level <= view.level
                && !view.hidden.contains(&line.source)
                && until.is_none_or(|until| line.wall <= until)
        };
        let mut newest: Vec<&LogLine> = self.lines.iter().rev().filter(fits).take(count).collect();
        newest.reverse();
        newest
    }

    /// Returns a line.
    pub(crate) fn line(&self, number: u64) -> Option<&LogLine> {
        let first = self.lines.front()?.number;
        self.lines.get(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    /// Returns who has said something that is kept, by name.
    pub(crate) fn sources(&self) -> BTreeSet<String> {
        self.lines.iter().map(|line| line.source.clone()).collect()
    }
}

/// Which lines a person wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogView {
    /// The least important level that is shown.
    pub(crate) level: LevelFilter,
    /// Whose lines are not shown.
    pub(crate) hidden: BTreeSet<String>,
}

impl Default for LogView {
    fn default() -> Self {
        Self { level: LevelFilter::Info, hidden: BTreeSet::new() }
    }
}

/// Returns the newest lines of tui-logger's buffer, oldest first, without numbers.
fn newest(count: usize) -> Vec<LogLine> {
    let found = Arc::new(Mutex::new(Vec::with_capacity(count)));
    let area = Rect::new(0, 0, 1, u16::try_from(count).unwrap_or(u16::MAX));
    TuiLoggerWidget::default()
        .formatter(Box::new(Collector(Arc::clone(&found))))
        .render(area, &mut Buffer::empty(area));
    let mut lines = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
    // The widget begins at the bottom.
    lines.reverse();
    lines
}

/// Takes lines from the widget that should format them.
struct Collector(Arc<Mutex<Vec<LogLine>>>);

impl LogFormatter for Collector {
    fn min_width(&self) -> u16 {
        1
    }

    fn format(&self, _width: usize, event: &ExtLogRecord) -> Vec<Line<'_>> {
        let logged = u64::try_from(event.timestamp.timestamp().as_nanosecond()).unwrap_or(0);
        let (written, text) = logging::unstamped(event.msg());
        let line = LogLine {
            number: 0,
            wall: written.unwrap_or(WallTime(logged)),
            level: event.level,
            source: event.target().to_owned(),
            text: text.to_owned(),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        vec![Line::raw("")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64, level: Level, source: &str) -> LogLine {
        let (wall, text) = (WallTime(number * 1_000_000_000), format!("line {number}"));
        LogLine { number: 0, wall, level, source: source.to_owned(), text }
    }

    fn numbers(book: &LogBook, view: &LogView, until: Option<WallTime>) -> Vec<u64> {
        book.newest(view, until, usize::MAX).iter().map(|line| line.number).collect()
    }

    #[test]
    fn lines_that_are_read_twice_are_there_once() {
        let mut book = LogBook::default();
        let some = |range: std::ops::Range<u64>| range.map(|n| line(n, Level::Info, "x")).collect();
        book.add(some(0..4));
        book.add(some(1..6));
        book.add(some(2..6));
        assert_eq!(numbers(&book, &LogView::default(), None), [1, 2, 3, 4, 5, 6]);
        assert_eq!(book.line(6).map(|line| line.text.as_str()), Some("line 5"));
        assert_eq!(book.line(7), None);
    }

    #[test]
    fn the_oldest_lines_go_and_numbers_stay() {
        let mut book = LogBook::default();
        let many = LINES_MAX as u64 + 5;
        book.add((0..many).map(|n| line(n, Level::Info, "x")).collect());
        let shown = numbers(&book, &LogView::default(), None);
        assert_eq!((shown.len(), shown[0], shown[LINES_MAX - 1]), (LINES_MAX, 6, many));
        assert_eq!(book.line(5), None);
        assert_eq!(book.line(6).map(|line| line.text.as_str()), Some("line 5"));
    }

    #[test]
    fn level_source_and_moment_choose_lines() {
        let mut book = LogBook::default();
        book.add(vec![
            line(1, Level::Error, "issuer"),
            line(2, Level::Debug, "issuer"),
            line(3, Level::Info, "worker 1"),
            line(4, Level::Warn, "director"),
        ]);
        let mut view = LogView::default();
        assert_eq!(numbers(&book, &view, None), [1, 3, 4]);
        assert_eq!(numbers(&book, &view, Some(WallTime(3_000_000_000))), [1, 3]);
        view.hidden.insert("worker 1".to_owned());
        assert_eq!(numbers(&book, &view, None), [1, 4]);
        view.level = LevelFilter::Debug;
        assert_eq!(numbers(&book, &view, None), [1, 2, 4]);
        let sources: Vec<String> = book.sources().into_iter().collect();
        assert_eq!(sources, ["director", "issuer", "worker 1"]);
    }

    #[test]
    fn lines_come_out_of_the_buffer_as_they_went_in() {
        let drain = tui_logger::Drain::new();
        tui_logger::set_default_level(LevelFilter::Info);
        let old = "\u{1f}5000\u{1f}two";
        for (level, text) in [(Level::Info, "one"), (Level::Warn, old), (Level::Error, "three")] {
            drain.log(
                &log::Record::builder()
                    .level(level)
                    .target("worker 7")
                    .args(format_args!("{text}"))
                    .build(),
            );
        }
        tui_logger::move_events();
        let found = newest(2);
        let texts: Vec<&str> = found.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["two", "three"]);
        assert_eq!((found[1].level, found[1].source.as_str()), (Level::Error, "worker 7"));
        assert_eq!(found[0].wall, WallTime(5_000), "it was written elsewhere");
        assert!(found[1].wall > WallTime(5_000));
    }
}
