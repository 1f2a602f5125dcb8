//! `tickets.csv`: one row per ticket of the run.
//!
//! Rows stand by id and come from the log, joined with what users noted about when they were
//! told; rejected requests, which have no ticket, follow. Times are nanoseconds since the doors
//! opened; what did not happen is empty. The log is read beside whoever writes it, so the table
//! may hold tickets that are newer than the snapshot.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use engine::clock::Time;
use engine::ids::{ServiceId, TicketId, Token};
use engine::roles::notes::{Note, read_notes};
use engine::scheduler::record::{Completed, Record};
use engine::storage::{LogError, reader};

use super::place::Draft;
use super::{ExportError, Facts, Subject};
use crate::app::state::AppState;

/// What is not in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gaps {
    /// Retention let go of a part of the log that may have held tickets of this run.
    pub(super) is_cut: bool,
    /// Nobody keeps notes of when users were told, or of rejected requests.
    pub(super) lacks_notes: bool,
}

/// Writes the table to an export.
///
/// # Errors
/// If the log can't be read or the file can't be written.
pub(super) fn write(
    draft: &mut Draft,
    facts: &Facts,
    state: &AppState,
) -> Result<Gaps, ExportError> {
    let mut gaps = Gaps::default();
    let mut trouble = None;
    let holds = "one row per ticket: who, what, its eight times, its outcome";
    let written = draft.file("tickets.csv", holds, |out| {
        let csv = csv::Writer::from_writer(out);
        // A replay may show another run than it began with.
        let own = (state.run.id != facts.subject.run).then(|| Subject::of(state));
        let subject = own.as_ref().unwrap_or(&facts.subject);
        let opened_at = state.opened_at;
        let mut table = Table { csv, facts, subject, opened_at, field: Vec::new() };
        match table.write() {
            Ok(found) => {
                gaps = found;
                Ok(())
            }
            Err(Trouble::Io(error)) => Err(error),
            Err(Trouble::Log(error)) => {
                trouble = Some(error);
                Err(io::Error::other("the log can't be read"))
            }
        }
    });
    if let Some(error) = trouble {
        return Err(ExportError::Log(error));
    }
    written.map(|()| gaps)
}

/// Why a row could not be written.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Log(#[from] LogError),
}

/// `tickets.csv`.
struct Table<'a, W: Write> {
    csv: csv::Writer<W>,
    facts: &'a Facts,
    subject: &'a Subject,
    opened_at: Option<Time>,
    /// The field that is being written.
    field: Vec<u8>,
}

/// Its columns; a promise to whoever reads it.
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

impl<W: Write> Table<'_, W> {
    fn write(&mut self) -> Result<Gaps, Trouble> {
        self.csv.write_record(COLUMNS).map_err(io::Error::from)?;
        let mut gaps = Gaps { lacks_notes: self.facts.notes_dir.is_none(), ..Gaps::default() };
        // Before the doors open there is no ticket.
        if self.opened_at.is_some() {
            let (mut notified, mut rejected) = (HashMap::new(), Vec::new());
            if let Some(notes_dir) = &self.facts.notes_dir {
                read_notes(notes_dir, |note| {
                    if note.id == TicketId(0) {
                        rejected.push(note);
                    } else {
                        notified.insert(note.id, note.notified);
                    }
                })?;
            }
            gaps.is_cut = self.write_tickets(&notified)?;
            rejected.sort_by_key(|note| (note.submitted, note.token));
            for note in rejected {
                self.write_rejected(&note)?;
            }
        }
        self.csv.flush()?;
        Ok(gaps)
    }

    /// Writes tickets by id. Those behind an unfinished one wait for it: as many as arrive while a
    /// ticket is open. Returns whether retention may have taken some.
    fn write_tickets(&mut self, notified: &HashMap<TicketId, Time>) -> Result<bool, Trouble> {
        let mut tickets: BTreeMap<TicketId, Ticket> = BTreeMap::new();
        let (mut is_own_run, mut failure) = (false, None);
        let mut first_run = None;
        let found = reader::scan(&self.facts.data_dir, &mut |record| {
            let Ok(record) = Record::decode(record.kind, record.key, record.value) else { return };
            match record {
                Record::Start(start) => {
                    first_run.get_or_insert(start.run);
                    is_own_run = start.run == self.subject.run;
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
            return Err(failure.into());
        }
        for (id, ticket) in tickets {
            self.write_ticket(id, &ticket, notified)?;
        }
        Ok(!found.is_whole() && first_run == Some(self.subject.run))
    }

    fn write_ticket(
        &mut self,
        id: TicketId,
        ticket: &Ticket,
        notified: &HashMap<TicketId, Time>,
    ) -> io::Result<()> {
        let end = ticket.end;
        let moment = |of: fn(&Completed) -> Time| end.as_ref().map(of);
        self.number(Some(id.0))?;
        self.who(ticket.token, ticket.service)?;
        self.number(end.map(|end| u64::from(end.worker.0)))?;
        self.moment(Some(ticket.scheduled))?;
        self.moment(Some(ticket.submitted))?;
        self.moment(Some(ticket.arrived))?;
        self.moment(moment(|end| end.durable))?;
        self.moment(moment(|end| end.started))?;
        self.moment(moment(|end| end.last_started))?;
        self.moment(moment(|end| end.ended))?;
        self.moment(notified.get(&id).copied())?;
        self.number(Some(ticket.demand_ns))?;
        self.csv.write_field(end.map_or("unfinished", |end| end.outcome.name()))?;
        self.number(end.map(|end| u64::from(end.attempts)))?;
        self.number(Some(u64::from(ticket.waiting_seen)))?;
        self.end_row()
    }

    fn write_rejected(&mut self, note: &Note) -> io::Result<()> {
        self.number(None)?;
        self.who(note.token, note.service)?;
        self.number(None)?;
        self.moment(Some(note.scheduled))?;
        self.moment(Some(note.submitted))?;
        for _ in 0..5 {
            self.moment(None)?;
        }
        self.moment(Some(note.notified))?;
        self.number(Some(note.demand_ns))?;
        self.csv.write_field("rejected")?;
        self.number(None)?;
        self.number(None)?;
        self.end_row()
    }

    /// Writes user, load, class, service and priority.
    fn who(&mut self, token: Token, service: ServiceId) -> io::Result<()> {
        self.number(Some(u64::from(token.user.index())))?;
        let load = self.subject.loads.get(usize::from(token.user.load().0));
        self.csv.write_field(load.map_or("", String::as_str))?;
        self.csv.write_field("default")?;
        let service = self.subject.services.get(usize::from(service.0));
        self.csv.write_field(service.map_or("", String::as_str))?;
        self.number(Some(0))
    }

    /// Writes a moment as nanoseconds since the opening.
    fn moment(&mut self, moment: Option<Time>) -> io::Result<()> {
        let both = moment.filter(|moment| moment.is_set()).zip(self.opened_at);
        self.number(both.map(|(moment, opened)| moment.0.saturating_sub(opened.0)))
    }

    fn number(&mut self, number: Option<u64>) -> io::Result<()> {
        self.field.clear();
        if let Some(number) = number {
            // Writing to a vector can't fail.
            let _ = write!(self.field, "{number}");
        }
        Ok(self.csv.write_field(&self.field)?)
    }

    fn end_row(&mut self) -> io::Result<()> {
        Ok(self.csv.write_record(None::<&[u8]>)?)
    }
}
