//! `log get`, `tail`, `stats` and `dump`: what the log says, read beside whoever writes it.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::Path;

use color_eyre::eyre::Result;
use engine::ids::{Epoch, TicketId};
use engine::scheduler::record::{Issued, Record, Start};
use engine::storage::{self, RecordRef, reader};
use serde_json::{Value, json};

use super::cli::{LogArgs, LogCommand};
use super::commands::{data_dir_with_log, usage};
use super::exit::Exit;
use super::{format, output, ticket};

/// Runs one of the commands.
///
/// # Errors
/// If the log can't be read.
pub(crate) fn run(command: &LogCommand) -> Result<Exit> {
    let LogArgs { data, json: is_json } = command.args();
    let data_dir = match data_dir_with_log(data) {
        Ok(data_dir) => data_dir,
        Err(error) => return Ok(usage(&error)),
    };
    let out = Out { is_json: *is_json };
    match command {
        LogCommand::Get { id, .. } => get(&data_dir, TicketId(*id), &out),
        LogCommand::Tail { lines, .. } => tail(&data_dir, *lines, &out),
        LogCommand::Dump { .. } => dump(&data_dir, &out),
        LogCommand::Stats { .. } => stats(&data_dir, &out),
    }
}

/// How lines are written.
struct Out {
    is_json: bool,
}

impl Out {
    /// Writes a line; returns whether anybody still reads.
    fn line(&self, text: &str) -> bool {
        output::say(&format!("{text}\n"))
    }

    fn record(&self, record: &RecordRef<'_>) -> String {
        let value = describe(record);
        if self.is_json { value.to_string() } else { text_of(&value) }
    }
}

/// Returns what a record says, as JSON with units in the names.
fn describe(record: &RecordRef<'_>) -> Value {
    let lsn = record.lsn.0;
    match Record::decode(record.kind, record.key, record.value) {
        Err(error) => json!({ "lsn": lsn, "kind": "unknown", "error": error.to_string() }),
        Ok(Record::Start(Start { epoch, run, wall, .. })) => json!({
            "lsn": lsn, "kind": "start", "epoch": epoch.0,
            "run": format!("{:016x}", run.0), "wall_ns": wall.0,
        }),
        Ok(Record::Lease(until)) => json!({ "lsn": lsn, "kind": "lease", "until": until.0 }),
        Ok(Record::Issued(issued)) => describe_issued(lsn, &issued),
        Ok(Record::Completed(end)) => json!({
            "lsn": lsn, "kind": "completed", "id": end.id.0, "outcome": end.outcome.name(),
            "worker": end.worker.0, "attempts": end.attempts, "durable_ns": end.durable.0,
            "started_ns": end.started.0, "last_started_ns": end.last_started.0,
            "ended_ns": end.ended.0,
        }),
    }
}

fn describe_issued(lsn: u64, issued: &Issued<'_>) -> Value {
    json!({
        "lsn": lsn, "kind": "issued", "id": issued.id.0,
        "load": issued.token.user.load().0, "user": issued.token.user.index(),
        "seq": issued.token.seq, "service": issued.service.0, "demand_ns": issued.demand_ns,
        "scheduled_ns": issued.scheduled.0, "submitted_ns": issued.submitted.0,
        "arrived_ns": issued.arrived.0, "waiting_seen": issued.waiting_seen,
        "delayed": issued.is_delayed,
        "payload_bytes": issued.payload.len(),
    })
}

/// Writes a record's fields as `key=value`, position and kind first.
fn text_of(value: &Value) -> String {
    let field = |name: &str| value[name].to_string().trim_matches('"').to_owned();
    let mut text = format!("{:>12} {:<9}", field("lsn"), field("kind"));
    for (name, value) in value.as_object().into_iter().flatten() {
        if name != "lsn" && name != "kind" {
            text.push_str(&format!(" {name}={}", value.to_string().trim_matches('"')));
        }
    }
    text
}

fn get(data_dir: &Path, wanted: TicketId, out: &Out) -> Result<Exit> {
    let mut found = Vec::new();
    let looked = ticket::find(data_dir, wanted, &mut |record| found.push(out.record(record)))?;
    if found.is_empty() {
        let reason = ticket::missing(wanted, &looked);
        // Nobody may be there to read it; the exit code says it too.
        let _ = writeln!(io::stderr(), "{reason}");
        return Ok(Exit::Failed);
    }
    for line in found {
        out.line(&line);
    }
    Ok(Exit::Done)
}

fn tail(data_dir: &Path, lines: usize, out: &Out) -> Result<Exit> {
    let mut last = VecDeque::with_capacity(lines.min(1024));
    reader::scan(data_dir, &mut |record| {
        if last.len() == lines {
            last.pop_front();
        }
        if lines > 0 {
            last.push_back(out.record(&record));
        }
    })?;
    for line in last {
        out.line(&line);
    }
    Ok(Exit::Done)
}

fn dump(data_dir: &Path, out: &Out) -> Result<Exit> {
    let mut is_read = true;
    reader::scan(data_dir, &mut |record| {
        is_read = is_read && out.line(&out.record(&record));
    })?;
    Ok(Exit::Done)
}

fn stats(data_dir: &Path, out: &Out) -> Result<Exit> {
    let (mut starts, mut leases, mut issued, mut completed) = (0_u64, 0_u64, 0_u64, 0_u64);
    let (mut epoch, mut lease, mut last_id) = (Epoch(0), TicketId(0), TicketId(0));
    let report = reader::scan(data_dir, &mut |record| match Record::decode(
        record.kind,
        record.key,
        record.value,
    ) {
        // Each segment repeats the latest of both.
        Ok(Record::Start(start)) => {
            starts += u64::from(start.epoch > epoch);
            epoch = epoch.max(start.epoch);
        }
        Ok(Record::Lease(until)) => {
            leases += u64::from(until > lease);
            lease = lease.max(until);
        }
        Ok(Record::Issued(record)) => {
            issued += 1;
            last_id = last_id.max(record.id);
        }
        Ok(Record::Completed(_)) => completed += 1,
        Err(_) => {}
    })?;
    let is_written = storage::writer_of(data_dir)?.is_some();
    // What a writer has under way is not torn, and its index changes while it is looked at.
    let torn_bytes = report.torn.as_ref().filter(|_| !is_written).map_or(0, |torn| torn.bytes);
    let index = if is_written {
        "in use by the writer".to_owned()
    } else {
        storage::index_health(data_dir)?.to_string()
    };
    let file_bytes = storage::file_bytes(data_dir)?;
    let first = report.segments.first().map_or(0, |segment| segment.first.0);
    if out.is_json {
        let stats = json!({
            "segments": report.segments.len(), "records": report.records, "bytes": report.bytes(),
            "file_bytes": file_bytes, "first_lsn": first, "end_lsn": report.end.0,
            "torn_bytes": torn_bytes, "starts": starts, "leases": leases, "issued": issued,
            "completed": completed, "last_id": last_id.0, "index": index,
        });
        out.line(&stats.to_string());
        return Ok(Exit::Done);
    }
    let lines = [
        ("segments", format::count(report.segments.len() as u64)),
        ("records", format::count(report.records)),
        ("bytes", format::bytes(report.bytes())),
        ("files", format::bytes(file_bytes)),
        ("torn tail", format::bytes(torn_bytes)),
        ("starts", format::count(starts)),
        ("issued", format::count(issued)),
        ("completed", format::count(completed)),
        ("last id", last_id.to_string()),
        ("index", index),
    ];
    for (name, value) in lines {
        out.line(&format!("{name:<10} {value}"));
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::ids::Lsn;

    #[test]
    fn a_record_is_one_line_with_its_position_first() {
        let lease = Record::Lease(TicketId(7));
        let mut value = Vec::new();
        lease.put_value(&mut value);
        let key = lease.key();
        let record = RecordRef { lsn: Lsn(4136), kind: lease.kind(), key: &key, value: &value };
        let lines = [false, true].map(|is_json| Out { is_json }.record(&record));
        assert_eq!(lines[0], "        4136 lease     until=7");
        assert_eq!(lines[1], r#"{"lsn":4136,"kind":"lease","until":7}"#);
    }
}
