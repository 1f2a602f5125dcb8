//! Snapshot tables as files: `summary.json` and `tickets.csv`.
//!
//! `tickets.csv` has one row per ticket of the run, by id, from the log, joined with what users
//! noted about when they were told; rejected requests, which have no ticket, follow. Times are
//! nanoseconds since the doors opened; what did not happen is empty. All files are written to a
//! temporary directory that is renamed when it is whole; nothing is ever overwritten.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use color_eyre::eyre::{Context, Result};
use engine::clock::Time;
use engine::ids::{ServiceId, TicketId, Token};
use engine::roles::notes::{Note, read_notes};
use engine::scheduler::record::{Completed, Record};
use engine::storage::reader;

use super::director::Orders;
use super::summary::Summary;
use super::update::Run;

/// Why nothing can be exported to a place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error("the export directory {} is not empty; choose another with --export", .0.display())]
    NotEmpty(PathBuf),
    #[error("{} is in the way of the export directory; choose another with --export", .0.display())]
    NotADirectory(PathBuf),
    #[error("the export directory {} has no name; choose another with --export", .0.display())]
    NoName(PathBuf),
    #[error("cannot make {}: {source}; choose another place with --export", path.display())]
    Parent { path: PathBuf, source: io::Error },
}

/// Makes sure, before the run, that its tables can be written at the end.
///
/// # Errors
/// [`ExportError`] if something is in the way.
pub(crate) fn check_target(dir: &Path) -> Result<(), ExportError> {
    if dir.file_name().is_none() {
        return Err(ExportError::NoName(dir.to_owned()));
    }
    match std::fs::symlink_metadata(dir) {
        Ok(found) if !found.is_dir() => return Err(ExportError::NotADirectory(dir.to_owned())),
        Ok(_) if !is_empty(dir) => return Err(ExportError::NotEmpty(dir.to_owned())),
        _ => {}
    }
    let parent = parent_of(dir);
    std::fs::create_dir_all(&parent)
        .map_err(|source| ExportError::Parent { path: parent.clone(), source })?;
    let temporary = temporary(dir);
    let made = std::fs::create_dir(&temporary).and_then(|()| std::fs::remove_dir(&temporary));
    made.map_err(|source| ExportError::Parent { path: temporary, source })
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

fn parent_of(dir: &Path) -> PathBuf {
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn temporary(dir: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(dir.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    parent_of(dir).join(name)
}

/// Writes all tables of a run.
///
/// # Errors
/// If the log can't be read or the files can't be written.
pub(crate) fn write(
    dir: &Path,
    summary: &Summary,
    orders: &Orders,
    run: &Run,
    data_dir: &Path,
) -> Result<()> {
    let temporary = temporary(dir);
    let context = || format!("cannot write the export {}", temporary.display());
    std::fs::create_dir(&temporary).with_context(context)?;
    let json = File::create_new(temporary.join("summary.json")).with_context(context)?;
    serde_json::to_writer_pretty(BufWriter::new(json), &summary.to_json()).with_context(context)?;
    let csv = File::create_new(temporary.join("tickets.csv")).with_context(context)?;
    let mut table = Table { csv: csv::Writer::from_writer(BufWriter::new(csv)), orders, run };
    table.write(data_dir).with_context(context)?;
    std::fs::rename(&temporary, dir)
        .with_context(|| format!("cannot rename {} to {}", temporary.display(), dir.display()))
}

/// `tickets.csv`.
struct Table<'a> {
    csv: csv::Writer<BufWriter<File>>,
    orders: &'a Orders,
    run: &'a Run,
}

const COLUMNS: [&str; 19] = [
    "id",
    "user",
    "load",
    "class",
    "service",
    "priority",
    "worker",
    "t_sched_ns",
    "t_submit_ns",
    "t_arrive_ns",
    "t_durable_ns",
    "t_start_ns",
    "t_last_start_ns",
    "t_end_ns",
    "t_notify_ns",
    "demand_ns",
    "outcome",
    "attempts",
    "waiting",
];

/// A ticket of the log.
struct Ticket {
    token: Token,
    service: ServiceId,
    demand_ns: u64,
    scheduled: Time,
    submitted: Time,
    arrived: Time,
    waiting_seen: u32,
    end: Option<Completed>,
}

impl Table<'_> {
    fn write(&mut self, data_dir: &Path) -> Result<()> {
        self.csv.write_record(COLUMNS)?;
        let (mut notified, mut rejected) = (HashMap::new(), Vec::new());
        if let Some(notes_dir) = &self.orders.notes_dir {
            read_notes(notes_dir, |note| {
                if note.id == TicketId(0) {
                    rejected.push(note);
                } else {
                    notified.insert(note.id, note.notified);
                }
            })?;
        }
        self.write_tickets(data_dir, &notified)?;
        rejected.sort_by_key(|note| (note.submitted, note.token));
        for note in rejected {
            self.write_rejected(&note)?;
        }
        self.csv.flush()?;
        Ok(())
    }

    /// Writes tickets by id. Those behind an unfinished one wait for it, which the office's room
    /// bounds.
    fn write_tickets(&mut self, data_dir: &Path, notified: &HashMap<TicketId, Time>) -> Result<()> {
        let mut tickets: BTreeMap<TicketId, Ticket> = BTreeMap::new();
        let (mut is_own_run, mut failure) = (false, None);
        let mut first_run = None;
        let found = reader::scan(data_dir, &mut |record| {
            let Ok(record) = Record::decode(record.kind, record.key, record.value) else { return };
            match record {
                Record::Start(start) => {
                    first_run.get_or_insert(start.run);
                    is_own_run = start.run == self.orders.run;
                }
                Record::Issued(issued) if is_own_run => {
                    let ticket = Ticket {
                        token: issued.token,
                        service: issued.service,
                        demand_ns: issued.demand_ns,
                        scheduled: issued.scheduled,
                        submitted: issued.submitted,
                        arrived: issued.arrived,
                        waiting_seen: issued.waiting_seen,
                        end: None,
                    };
                    tickets.insert(issued.id, ticket);
                }
                Record::Completed(end) => {
                    if let Some(ticket) = tickets.get_mut(&end.id) {
                        ticket.end = Some(end);
                    }
                    while let Some(first) = tickets.first_entry()
                        && first.get().end.is_some()
                        && failure.is_none()
                    {
                        let (id, ticket) = first.remove_entry();
                        failure = self.write_ticket(id, &ticket, notified).err();
                    }
                }
                _ => {}
            }
        })?;
        if let Some(failure) = failure {
            return Err(failure);
        }
        for (id, ticket) in tickets {
            self.write_ticket(id, &ticket, notified)?;
        }
        if !found.is_whole() && first_run == Some(self.orders.run) {
            // Nobody may be there to read it.
            let _ = writeln!(
                io::stderr(),
                "tickets.csv lacks the tickets whose part of the log was let go of; \
                 storage.retain=unlimited keeps all"
            );
        }
        Ok(())
    }

    fn write_ticket(
        &mut self,
        id: TicketId,
        ticket: &Ticket,
        notified: &HashMap<TicketId, Time>,
    ) -> Result<()> {
        let end = ticket.end;
        let at = |moment: fn(&Completed) -> Time| self.moment(end.as_ref().map(moment));
        let number = |number: Option<u64>| number.map_or_else(String::new, |n| n.to_string());
        let row = [
            id.to_string(),
            ticket.token.user.index().to_string(),
            self.load(ticket.token),
            "default".to_owned(),
            self.service(ticket.service),
            "0".to_owned(),
            number(end.map(|end| u64::from(end.worker.0))),
            self.moment(Some(ticket.scheduled)),
            self.moment(Some(ticket.submitted)),
            self.moment(Some(ticket.arrived)),
            at(|end| end.durable),
            at(|end| end.started),
            at(|end| end.last_started),
            at(|end| end.ended),
            self.moment(notified.get(&id).copied()),
            ticket.demand_ns.to_string(),
            end.map_or("unfinished", |end| end.outcome.name()).to_owned(),
            number(end.map(|end| u64::from(end.attempts))),
            ticket.waiting_seen.to_string(),
        ];
        Ok(self.csv.write_record(row)?)
    }

    fn write_rejected(&mut self, note: &Note) -> Result<()> {
        let mut row = [const { String::new() }; COLUMNS.len()];
        row[1] = note.token.user.index().to_string();
        row[2] = self.load(note.token);
        row[3] = "default".to_owned();
        row[4] = self.service(note.service);
        row[5] = "0".to_owned();
        row[7] = self.moment(Some(note.scheduled));
        row[8] = self.moment(Some(note.submitted));
        row[14] = self.moment(Some(note.notified));
        row[15] = note.demand_ns.to_string();
        row[16] = "rejected".to_owned();
        Ok(self.csv.write_record(row)?)
    }

    fn moment(&self, moment: Option<Time>) -> String {
        let opened = self.run.timeline().opened_at;
        let moment = moment.filter(|moment| moment.is_set());
        moment.map_or_else(String::new, |moment| moment.0.saturating_sub(opened.0).to_string())
    }

    fn load(&self, token: Token) -> String {
        let loads = &self.orders.scenario.loads;
        let load = loads.get(usize::from(token.user.load().0));
        load.map_or_else(String::new, |load| load.name.clone())
    }

    fn service(&self, service: ServiceId) -> String {
        let service = self.orders.scenario.services.get(usize::from(service.0));
        service.map_or_else(String::new, |service| service.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_is_named_before_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("deep/out");
        check_target(&target).unwrap();
        assert!(is_empty(target.parent().unwrap()), "checking leaves nothing behind");
        std::fs::create_dir(&target).unwrap();
        check_target(&target).unwrap();
        std::fs::write(target.join("x"), "").unwrap();
        assert!(matches!(check_target(&target), Err(ExportError::NotEmpty(_))));
        assert!(matches!(check_target(&target.join("x")), Err(ExportError::NotADirectory(_))));
        assert!(matches!(check_target(Path::new("/")), Err(ExportError::NoName(_))));
    }
}
