//! The log against plain files.

use std::time::Duration;

use engine::bench::{self, Lmdb, LogOwner, Plain, PlainFile, PlainReads, now, seconds_since};
use engine::config::scenario::FsyncPolicy;
use engine::storage::{LogError, LogOptions, LogStats};

use super::limit::Split;
use super::report::{Group, Row, Sample, Told, Unit};
use super::{Bench, BenchError, Subject};

/// Bytes of the floor's file of zeros.
const PLAIN_BYTES: u64 = 64 << 20;
/// What a long bench may leave on the disk.
const RETAIN_BYTES: u64 = 512 << 20;
/// Memory of the index: a scenario's default.
const INDEX_BYTES: u64 = 64 << 20;
/// Records that are read.
const READ_RECORDS: u64 = 100_000;
/// From one that is read to the next; prime to their number, so that each has its turn.
const STRIDE: u64 = 61_803;

/// Measures all rows.
pub(super) fn measure(bench: &Bench) -> Result<Group, BenchError> {
    let mut rows = Vec::new();
    for (policy, plain) in
        [(FsyncPolicy::None, Plain::Growing), (FsyncPolicy::EachBatch, Plain::Synced)]
    {
        for batch in [1, 64, 1024] {
            rows.push(append(bench, policy, plain, batch)?);
        }
    }
    rows.push(read(bench)?);
    let floor = "the same records, framed and with checksums, in a plain file: written, or written \
                 over zeros and synced with fdatasync, or read with pread";
    Ok(Group { subject: Subject::Log, floor, rows, told: Told::Farthest })
}

fn append(bench: &Bench, policy: FsyncPolicy, plain: Plain, batch: u64) -> Result<Row, BenchError> {
    let is_synced = plain == Plain::Synced;
    let verb = if is_synced { "synced" } else { "written" };
    let name = format!("records {verb}, {batch} a batch");
    let dir = bench.part("log")?;
    let mut owner = LogOwner::open(dir.path(), options(policy), Lmdb::Follows)?;
    let mut file = PlainFile::new(dir.path(), plain, PLAIN_BYTES)?;
    let measured = bench.compare(
        Subject::Log,
        &name,
        bench.turns(),
        |window| rate(owner.run(batch, window)),
        |window| rate(file.run(batch, window)),
    )?;
    let split = if is_synced {
        Split {
            per: "batch",
            machine: "the disk's write and sync",
            own: "the log's own work and its wait for the thread that syncs",
        }
    } else {
        Split {
            per: "record",
            machine: "framing, checksum and write",
            own: "the log's own work, its index and LMDB behind it",
        }
    };
    let per = if is_synced { batch as f64 } else { 1.0 };
    let mut limit = split.tell_rates(measured.product.value / per, measured.floor.value / per);
    if is_synced {
        limit.push_str(&shared_syncs(owner.stats()).unwrap_or_default());
    }
    Ok(measured.row(&name, Unit::PerSecond("records"), limit))
}

/// Says that batches shared syncs, if they did: one that comes while another is being synced may
/// be covered by the sync that waits. The floor has one for each.
fn shared_syncs(stats: LogStats) -> Option<String> {
    let shared = stats.batches as f64 / stats.syncs.max(1) as f64;
    (shared >= 1.05).then(|| format!("; {shared:.1} batches shared a sync"))
}

fn options(policy: FsyncPolicy) -> LogOptions {
    LogOptions {
        retain_bytes: Some(RETAIN_BYTES),
        index_bytes: INDEX_BYTES,
        ..bench::options(policy)
    }
}

fn rate(per_s: Result<f64, LogError>) -> Result<Sample, BenchError> {
    Ok(Sample { value: per_s?, spread: None })
}

fn read(bench: &Bench) -> Result<Row, BenchError> {
    let name = "records read, found in memory";
    let dir = bench.part("log")?;
    let mut owner = LogOwner::open(dir.path(), options(FsyncPolicy::None), Lmdb::Follows)?;
    owner.fill(READ_RECORDS)?;
    owner.settle()?;
    let mut reads = PlainReads::new(dir.path(), READ_RECORDS)?;
    let measured = bench.compare(
        Subject::Log,
        name,
        bench.turns(),
        |window| rate(gets(window, |number| owner.get(number))),
        |window| rate(gets(window, |number| reads.get(number))),
    )?;
    let split = Split {
        per: "record",
        machine: "the pread",
        own: "finding the key and checking the checksum",
    };
    let limit = split.tell_rates(measured.product.value, measured.floor.value);
    Ok(measured.row(name, Unit::PerSecond("records"), limit))
}

/// Returns how many records are read a second, in an order that jumps about and is always the
/// same.
fn gets(
    window: Duration,
    mut get: impl FnMut(u64) -> Result<usize, LogError>,
) -> Result<f64, LogError> {
    let (began, mut count) = (now(), 0_u64);
    while now().since(began) < window {
        for _ in 0..256 {
            let bytes = get(1 + count * STRIDE % READ_RECORDS)?;
            assert!(bytes > 0, "every record is there");
            count += 1;
        }
    }
    Ok(count as f64 / seconds_since(began))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_has_its_turn() {
        let numbers: std::collections::BTreeSet<u64> =
            (0..READ_RECORDS).map(|count| 1 + count * STRIDE % READ_RECORDS).collect();
        assert_eq!(numbers.len() as u64, READ_RECORDS);
    }

    #[test]
    fn shared_syncs_are_told_if_there_were_any() {
        let of = |batches, syncs| shared_syncs(LogStats { batches, syncs, ..LogStats::default() });
        assert_eq!(of(180, 100).as_deref(), Some("; 1.8 batches shared a sync"));
        assert_eq!([of(100, 100), of(0, 0)], [None, None]);
    }

    #[test]
    fn a_read_that_fails_ends_the_turn() {
        let failing = |number| if number < 5 { Ok(1) } else { Err(LogError::ReadOnly) };
        assert!(gets(Duration::from_secs(60), failing).is_err());
    }
}
