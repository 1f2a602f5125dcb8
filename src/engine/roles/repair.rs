//! Setting a data directory right, as its only writer and without an office.

use std::path::Path;

use crate::clock::{Clock, SystemClock, Time};
use crate::config::scenario::{Compression, FsyncPolicy, Retry, RetryPosition};
use crate::ids::{RunId, TicketId};
use crate::limits;
use crate::scheduler::issuer::{Issuer, Options};
use crate::scheduler::record::{Issued, Record};
use crate::scheduler::recovery::Recovery;
use crate::storage::reader;
use crate::storage::salvage::{self, Skipped};
use crate::storage::{
    self, Hands, IndexOutcome, LogError, LogOptions, LogPlace, Logstore, Opening, OwnerState,
    RecordRef, Recovered,
};
use crate::timeline::Timeline;

/// Records of a salvaged log that are written at once.
const SALVAGE_BATCH: u64 = 4096;

/// What a salvage kept and left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// Records that are in the new log.
    pub records: u64,
    /// Places that were passed over.
    pub skipped: Vec<Skipped>,
    /// Completions whose ticket's issue was lost; they were left out.
    pub unopened: u64,
    /// Issues that are out of order; they were left out.
    pub out_of_order: u64,
}

/// Makes the index anew from the log, cutting a torn tail.
///
/// # Errors
/// [`LogError`] if the log is being written or is damaged before its synced end; then nothing is
/// changed.
pub fn repair(data_dir: &Path) -> Result<Recovered, LogError> {
    let mut opening = begin(data_dir, Trust::Nothing)?;
    opening.forget_index("it was to be made anew");
    let lost_keys = storage::lost_keys(data_dir, &reader::scan(data_dir, &mut |_| {})?);
    let mut recovery = recovery();
    let (log, mut recovered) = opening.replay(&mut |record| {
        if let Ok(record) = Record::decode(record.kind, record.key, record.value) {
            recovery.replay(&record);
        }
    })?;
    close(log, recovery)?;
    if let (IndexOutcome::Rebuilt { lost_keys: known, .. }, Some(lost)) =
        (&mut recovered.index, lost_keys)
    {
        *known = lost;
    }
    Ok(recovered)
}

/// Writes all that is whole in a log, damaged or not, to a new data directory.
///
/// # Errors
/// [`LogError`] if the old one can't be read or the new one can't be written.
pub fn salvage(data_dir: &Path, out: &Path) -> Result<Salvaged, LogError> {
    // No id that was ever leased may be given out again, also if the lease itself is lost.
    let mut lease = TicketId(1);
    salvage::salvage(data_dir, &mut |record| match Record::decode(
        record.kind,
        record.key,
        record.value,
    ) {
        Ok(Record::Lease(until)) => lease = lease.max(until),
        Ok(Record::Issued(issued)) => {
            lease = lease.max(TicketId(issued.id.0 + limits::LEASE_TICKETS));
        }
        _ => {}
    })?;
    let (log, _) = begin(out, Trust::Index)?.replay(&mut |_| {})?;
    let mut copy = Copy {
        log,
        recovery: recovery(),
        salvaged: Salvaged { records: 0, skipped: Vec::new(), unopened: 0, out_of_order: 0 },
        last_id: TicketId(0),
        result: Ok(()),
    };
    copy.append(&Record::Lease(lease));
    let skipped = salvage::salvage(data_dir, &mut |record| copy.take(&record))?;
    let Copy { log, recovery, salvaged, result, .. } = copy;
    result?;
    close(log, recovery)?;
    Ok(Salvaged { skipped, ..salvaged })
}

struct Copy {
    log: Logstore,
    recovery: Recovery,
    salvaged: Salvaged,
    last_id: TicketId,
    result: Result<(), LogError>,
}

impl Copy {
    fn take(&mut self, record: &RecordRef<'_>) {
        if self.result.is_err() {
            return;
        }
        let Ok(record) = Record::decode(record.kind, record.key, record.value) else {
            return;
        };
        match &record {
            Record::Issued(issued) if issued.id <= self.last_id => {
                self.salvaged.out_of_order += 1;
                return;
            }
            Record::Issued(issued) => self.last_id = issued.id,
            Record::Completed(end) if !self.recovery.is_open(end.id) => {
                self.salvaged.unopened += 1;
                return;
            }
            _ => {}
        }
        self.append(&record);
        self.salvaged.records += 1;
        if self.salvaged.records.is_multiple_of(SALVAGE_BATCH) {
            self.result = self.commit();
        }
    }

    fn append(&mut self, record: &Record<'_>) {
        self.recovery.replay(record);
        self.log.append_with(record.kind(), record.key(), |out| record.put_value(out));
    }

    /// Commits, and waits for the next segment if the log has to.
    fn commit(&mut self) -> Result<(), LogError> {
        let now = SystemClock.now();
        self.log.commit(now)?;
        self.log.poll(now)?;
        self.log.wait_for_room(now)
    }
}

enum Trust {
    Index,
    Nothing,
}

fn begin(data_dir: &Path, trust: Trust) -> Result<Opening, LogError> {
    let options = LogOptions {
        segment_bytes: 64 << 20,
        policy: FsyncPolicy::None,
        retain_bytes: None,
        index_bytes: 1 << 20,
        compression: Compression::None,
        checkpoint_bytes: limits::CHECKPOINT_BYTES_MIN,
    };
    let place = LogPlace::in_data_dir(data_dir);
    let hands = Hands::Threads(std::sync::Arc::new(|| {}));
    match trust {
        Trust::Index => Opening::begin(&place, options, hands),
        Trust::Nothing => Opening::begin_cold(&place, options, hands),
    }
}

/// Nobody will serve these tickets here: it only matters which are open.
fn recovery() -> Recovery {
    let options = Options {
        services: limits::SERVICES_MAX,
        room: limits::ROOM_MAX,
        retry: Retry { attempts: 1, position: RetryPosition::Head },
    };
    Recovery::new(options, RunId(0), Timeline::default())
}

fn close(log: Logstore, recovery: Recovery) -> Result<(), LogError> {
    let mark = recovery.mark();
    let lease = recovery.next_id();
    let issuer: Issuer = recovery.finish(Time::ZERO);
    let owner = OwnerState {
        bytes: issuer.encode_state(&mark, lease, Time::ZERO),
        needed: Some(Issued::key(issuer.oldest_open())),
    };
    log.close(owner, SystemClock.now()).map(drop)
}
