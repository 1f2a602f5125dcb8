//! The machine beside a running office: looked at whole when the run begins, and at what changes
//! every few seconds, by a thread that nothing waits for.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use engine::clock::WallTime;
use engine::config::Scenario;
use engine::storage;
use engine::sysinfo::{self, Hint, Needs, Severity, SysInfo};
use serde::{Deserialize, Serialize};

use super::table::{self, Group};
use super::{mark, name_of, needs_of};
use crate::app::events::News;
use crate::app::state;

/// How often what changes is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// The machine at a moment, and where it limits the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SysRow {
    /// When it was looked at.
    pub(crate) wall: WallTime,
    /// What is known, by subject.
    pub(crate) groups: Vec<SysGroup>,
    /// Where it limits the run, limits before advice.
    pub(crate) hints: Vec<SysHint>,
}

/// What is known of one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SysGroup {
    /// What people read.
    pub(crate) title: String,
    /// Its lines.
    pub(crate) lines: Vec<SysLine>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SysLine {
    /// What people call it.
    pub(crate) name: String,
    /// What it is.
    pub(crate) text: String,
    /// Its hint, by its place among [`SysRow::hints`].
    pub(crate) hint: Option<usize>,
}

/// Where the machine has less than the run needs or its figures deserve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SysHint {
    /// Whether a part of the run does not come about; otherwise its figures suffer.
    pub(crate) is_limit: bool,
    /// What people call the value.
    pub(crate) name: String,
    /// What it is.
    pub(crate) is: String,
    /// What it should be at least, if it is a matter of more.
    pub(crate) needs: Option<String>,
    /// What that means and what to do.
    pub(crate) advice: String,
}

impl SysRow {
    /// Returns what is known, for people.
    fn of(info: &SysInfo, hints: &[Hint], wall: WallTime) -> Self {
        let groups = super::table(info);
        let hint = |hint: &Hint| SysHint {
            is_limit: hint.severity == Severity::Limit,
            name: name_of(&groups, hint.value).to_owned(),
            is: table::amount(&hint.is),
            needs: hint.needs.as_ref().map(table::amount),
            advice: hint.advice.clone(),
        };
        let line = |group: &Group, row: &table::Row| {
            let is_of_row = |hint: &Hint| super::is_of_row(hint, group, row);
            let hint = hints.iter().position(is_of_row);
            SysLine { name: row.name.clone(), text: row.text.clone(), hint }
        };
        let group = |group: &Group| SysGroup {
            title: group.key.replace('_', " "),
            lines: group.rows.iter().map(|row| line(group, row)).collect(),
        };
        Self {
            wall,
            groups: groups.iter().map(group).collect(),
            hints: hints.iter().map(hint).collect(),
        }
    }

    /// Returns what people should know when a run begins: limits as warnings, advice for the
    /// record.
    fn news(&self) -> Vec<News> {
        let news = |hint: &SysHint| {
            let (severity, verb) = if hint.is_limit {
                (state::Severity::Warning, "limits")
            } else {
                (state::Severity::Info, "shows in")
            };
            let needs = hint.needs.as_ref().map(|needs| format!(", needs {needs}"));
            let text = format!(
                "{} {verb} the run: {}{}; {}",
                hint.name,
                hint.is,
                needs.unwrap_or_default(),
                hint.advice
            );
            News { severity, who: state::Source::Office, label: "machine".to_owned(), text }
        };
        self.hints.iter().map(news).collect()
    }
}

impl SysHint {
    /// Returns the sign that stands beside the value.
    pub(crate) fn mark(&self) -> char {
        mark(if self.is_limit { Severity::Limit } else { Severity::Advice })
    }
}

/// Where the newest look lies, and what was found at the first.
#[derive(Clone, Debug, Default)]
pub(crate) struct SysSlot(Arc<Mutex<Found>>);

#[derive(Debug, Default)]
struct Found {
    row: Option<Arc<SysRow>>,
    news: Vec<News>,
}

impl SysSlot {
    /// Returns the newest look.
    pub(crate) fn get(&self) -> Option<Arc<SysRow>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).row.clone()
    }

    /// Takes what people should know.
    pub(crate) fn take_news(&self) -> Vec<News> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).news)
    }

    fn put(&self, row: SysRow, news: Vec<News>) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.row = Some(Arc::new(row));
        found.news.extend(news);
    }
}

/// The thread that looks; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct SysWatch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl SysWatch {
    /// Begins to look at the machine for a scenario.
    ///
    /// # Errors
    /// If the system has no threads left.
    pub(crate) fn start(
        slot: SysSlot,
        data_dir: PathBuf,
        scenario: &Scenario,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        // A log that can't be read takes no room that is known of.
        let needs = needs_of(scenario, storage::file_bytes(&data_dir).unwrap_or(0));
        let thread = std::thread::Builder::new().name("sysinfo".to_owned());
        let thread = thread.spawn(move || watch(&slot, &data_dir, &needs, &stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for SysWatch {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn watch(slot: &SysSlot, data_dir: &std::path::Path, needs: &Needs, stopped: &Receiver<()>) {
    let mut before = sysinfo::cpu_times();
    let mut info = sysinfo::look(data_dir);
    // What a running office takes is missing from later looks, and would be asked for again.
    let hints = sysinfo::hints(&info, needs);
    let row = SysRow::of(&info, &hints, WallTime::now());
    let news = row.news();
    slot.put(row, news);
    while stopped.recv_timeout(LOOK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let after = sysinfo::cpu_times();
        sysinfo::look_again(&mut info);
        info.cpu.usage = after.zip(before).and_then(|(after, before)| after.since(before));
        before = after;
        slot.put(SysRow::of(&info, &hints, WallTime::now()), Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::commands;

    #[test]
    fn a_look_is_there_soon_and_the_thread_ends_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let scenario = commands::scenario("default", &[]).unwrap().scenario;
        let slot = SysSlot::default();
        let watch = SysWatch::start(slot.clone(), dir.path().to_owned(), &scenario).unwrap();
        // The thread looks before it asks whether it should end.
        drop(watch);
        let row = slot.get().unwrap();
        let titles: Vec<&str> = row.groups.iter().map(|group| group.title.as_str()).collect();
        assert_eq!(titles[0..3], ["host", "cpu", "memory"]);
        assert_eq!(Arc::strong_count(&slot.0), 1, "nobody holds the slot any more");
    }

    #[test]
    fn limits_are_warnings_and_stand_beside_their_values() {
        let mut info = SysInfo::default();
        info.cpu.usable = Some(2);
        info.memory.available_bytes = Some(1 << 20);
        let needs = Needs { memory_bytes: 1 << 30, ..Needs::default() };
        let hints = sysinfo::hints(&info, &needs);
        let row = SysRow::of(&info, &hints, WallTime(7));
        assert!(row.hints[0].is_limit, "{row:?}");
        let lines = row.groups.iter().flat_map(|group| &group.lines);
        let marked: Vec<&str> =
            lines.filter(|line| line.hint == Some(0)).map(|line| line.name.as_str()).collect();
        assert_eq!(marked, ["RAM available"]);
        let news = row.news();
        assert_eq!(news[0].severity, state::Severity::Warning);
        assert!(news[0].text.starts_with("RAM available limits the run: 1.00"), "{news:?}");
    }
}
