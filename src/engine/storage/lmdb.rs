//! LMDB as the index that outlives the process: a cache of the log, with the position up to
//! which it knows it.
//!
//! ```text
//! row         key 16   value: LSN u64 | length u32 | CRC-32C u32 of key, LSN and length
//! checkpoint  key "\0" value: format u16 | flags u16 (1 = closed cleanly, 2 = has a state)
//!                      | log id 16 | indexed up to u64 | header CRC there u32
//!                      | first LSN of the log u64 | rows u64 | sum of row hashes u128
//!                      | the owner's state | CRC-32C u32 of all before
//! ```
//!
//! LMDB has no checksums. So the whole file is checked before it is mapped ([`lmdb_check`]), rows
//! are counted and their hashes summed, and every hit is compared with the record that it points
//! to. Rows and checkpoint change in one transaction, which LMDB syncs.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use heed::types::Bytes;
use heed::{
    CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, MdbError, PutFlags, RoTxn, RwTxn,
    WithoutTls,
};

use super::IoOp;
use super::dir::DirFile;
use super::format::crc;
use super::index::{Key, Place};
use super::lmdb_check::{self, CheckError};
use crate::ids::Lsn;

const FILE_NAME: &str = "data.mdb";
const LOCK_NAME: &str = "lock.mdb";
/// More than LMDB needs for [`READERS_MAX`].
const LOCK_BYTES: usize = 128 << 10;
const CHECKPOINT_KEY: &[u8] = b"\0";
const FORMAT: u16 = 1;
const FLAG_CLEAN: u16 = 1;
const FLAG_STATE: u16 = 2;
const CHECKPOINT_BYTES: usize = 68;
const ROW_BYTES: usize = 16;
/// Address space of a new index; it doubles when it is full.
const MAP_BYTES: usize = 64 << 20;
/// Rows that stay, one after another, after which no more rows to retire are looked for.
const ROWS_STAYED_MAX: u32 = 100_000;
/// Rows that one transaction retires.
const RETIRE_ROWS: usize = 1 << 16;
/// Room for readers; LMDB's own default has been too small for others.
const READERS_MAX: u32 = 1024;

/// Why the index can't be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It is not what was written.
    #[error(
        "the index {} is corrupt: {reason}; the log is untouched; \
         run `postoffice-tui repair --data-dir {}` to make the index anew from it",
        path.display(),
        super::data_dir_of(path).display()
    )]
    Corrupt {
        /// The index's file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The system refused.
    #[error("cannot {op} {}: {source}; check the disk's room and permissions", path.display())]
    Io {
        /// What was being done.
        op: IoOp,
        /// To which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// One row: a key and where its latest record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) place: Place,
}

/// A row as LMDB holds it, and its part of the sum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    key: Key,
    value: [u8; ROW_BYTES],
    hash: u128,
}

impl Entry {
    pub(super) fn new(row: &Row) -> Self {
        Self { key: row.key, value: encode_place(&row.key, row.place), hash: hash(row) }
    }
}

/// What the index knows about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) log_id: [u8; 16],
    /// All records before are in the index, and on the disk.
    pub(super) indexed: Lsn,
    /// The header CRC of the batch that ends there.
    pub(super) prev_crc: u32,
    /// Where the log begins.
    pub(super) first: Lsn,
    pub(super) rows: u64,
    pub(super) hash: u128,
    /// Whether its writer ended in order.
    pub(super) is_clean: bool,
    /// What the log's owner wanted kept with it.
    pub(super) state: Option<Vec<u8>>,
}

/// An open index.
pub(super) struct Lmdb {
    env: Env<WithoutTls>,
    db: Database<'static, Bytes, Bytes>,
    path: PathBuf,
    /// Held for reading while a transaction lives, for writing while the map grows.
    map: RwLock<()>,
    /// The latest state, for single keys: beginning a transaction costs as much as looking up a
    /// key. Given up at every change, so it never keeps old pages from being used again.
    reader: Mutex<Option<RoTxn<'static, WithoutTls>>>,
}

/// Whether each commit waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// It does.
    Synced,
    /// Nothing is safe before [`Lmdb::finish_building`].
    Building,
}

impl Lmdb {
    /// Opens the index in a directory, which is made if it is not there. The file must have
    /// passed [`inspect`].
    pub(super) fn open(dir: &Path, durability: Durability) -> Result<Self, IndexError> {
        Self::open_sized(dir, durability, MAP_BYTES)
    }

    fn open_sized(dir: &Path, durability: Durability, map: usize) -> Result<Self, IndexError> {
        let path = dir.join(FILE_NAME);
        std::fs::create_dir_all(dir).map_err(failed(IoOp::Create, dir))?;
        reserve_lock(dir)?;
        let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let map = usize::try_from(bytes).unwrap_or(usize::MAX).saturating_mul(2).max(map);
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(map).max_readers(READERS_MAX);
        if durability == Durability::Building {
            // SAFETY: a crash may corrupt what is being built; it has another name until it is
            // finished and synced, and what has that name is thrown away.
            unsafe { options.flags(EnvFlags::NO_SYNC) };
        }
        // SAFETY: the file has been checked page by page, only this process opens it while it
        // holds the log's lock, and nothing changes the file but LMDB.
        let env = unsafe { options.open(dir) }.map_err(lmdb(&path))?;
        env.clear_stale_readers().map_err(lmdb(&path))?;
        let txn = env.write_txn().map_err(lmdb(&path))?;
        let db = env
            .create_databases_and_commit(txn, |opener, txn| {
                let db = opener.create_database::<Bytes, Bytes>(txn, None)?;
                Ok(CommitOrAbort::<_, ()>::Commit(db))
            })
            .map_err(lmdb(&path))?
            .unwrap_commit();
        Ok(Self { env, db, path, map: RwLock::new(()), reader: Mutex::new(None) })
    }

    /// Returns where a key's latest record stands.
    pub(super) fn get(&self, key: &Key) -> Result<Option<Place>, IndexError> {
        let mut reader = self.reader();
        let txn = match &mut *reader {
            Some(txn) => txn,
            none => {
                let txn = self.env.clone().static_read_txn();
                none.insert(txn.map_err(|error| lmdb(&self.path)(error))?)
            }
        };
        let value = self.db.get(txn, key).map_err(|error| lmdb(&self.path)(error))?;
        value.map(|value| self.place(key, value)).transpose()
    }

    fn reader(&self) -> MutexGuard<'_, Option<RoTxn<'static, WithoutTls>>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Visits the rows from a key on, in order, until `visit` returns false.
    pub(super) fn visit_from(
        &self,
        from: &Key,
        visit: &mut dyn FnMut(&Row) -> bool,
    ) -> Result<(), IndexError> {
        let _alive = self.map.read().unwrap_or_else(PoisonError::into_inner);
        let txn = self.read()?;
        let bounds = (Bound::Included(&from[..]), Bound::Unbounded);
        for row in self.db.range(&txn, &bounds).map_err(lmdb(&self.path))? {
            let (key, value) = row.map_err(lmdb(&self.path))?;
            let key = self.key(key)?;
            if !visit(&Row { key, place: self.place(&key, value)? }) {
                break;
            }
        }
        Ok(())
    }

    /// Adds rows, the latest of each key last, and changes the checkpoint with them; the map
    /// grows as needed. `rows` is sorted on the way.
    pub(super) fn add(
        &self,
        rows: &mut [Entry],
        checkpoint: &mut Checkpoint,
    ) -> Result<(), IndexError> {
        rows.sort_by_key(|row| row.key);
        self.change(checkpoint, |txn, changed| self.put_rows(txn, rows, changed))
    }

    /// Removes rows of records that stand before `first`, which the log no longer holds. Keys rise
    /// with the log, so looking stops where many rows in a row stay; what is left over is harmless
    /// and goes another time.
    pub(super) fn retire(&self, first: Lsn, checkpoint: &mut Checkpoint) -> Result<(), IndexError> {
        let (mut from, mut has_more) = ([0; 16], true);
        while has_more {
            let mut retired = Vec::new();
            let mut stayed = 0;
            has_more = false;
            self.visit_from(&from, &mut |row| {
                if row.place.lsn < first {
                    retired.push(*row);
                    stayed = 0;
                } else {
                    stayed += 1;
                }
                has_more = retired.len() == RETIRE_ROWS;
                !has_more && stayed < ROWS_STAYED_MAX
            })?;
            from = retired.last().map_or(from, |row| row.key);
            self.change(checkpoint, |txn, changed| {
                for row in &retired {
                    if self.db.delete(txn, &row.key)? {
                        changed.rows -= 1;
                        changed.hash = changed.hash.wrapping_sub(hash(row));
                    }
                }
                changed.first = first;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Begins to make safe what was built without syncs.
    pub(super) fn flush_building(&self) -> Result<(), IndexError> {
        self.env.force_sync().map_err(lmdb(&self.path))
    }

    /// Makes what was built without syncs safe and closes it.
    pub(super) fn finish_building(self) -> Result<(), IndexError> {
        let Self { env, path, reader, .. } = self;
        drop(reader);
        env.force_sync().map_err(lmdb(&path))?;
        env.prepare_for_closing().wait();
        Ok(())
    }

    /// Returns how large the file is.
    pub(super) fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }

    fn read(&self) -> Result<RoTxn<'_, WithoutTls>, IndexError> {
        self.env.read_txn().map_err(lmdb(&self.path))
    }

    /// Runs a transaction that ends with a new checkpoint; when the map is full it grows and the
    /// transaction is run again.
    fn change(
        &self,
        checkpoint: &mut Checkpoint,
        run: impl Fn(&mut RwTxn<'_>, &mut Checkpoint) -> Result<(), heed::Error>,
    ) -> Result<(), IndexError> {
        loop {
            let mut changed = checkpoint.clone();
            let alive = self.map.read().unwrap_or_else(PoisonError::into_inner);
            let committed = self.env.write_txn().and_then(|mut txn| {
                run(&mut txn, &mut changed)?;
                self.db.put(&mut txn, CHECKPOINT_KEY, &changed.encode())?;
                txn.commit()
            });
            drop(alive);
            match committed {
                Ok(()) => {
                    *checkpoint = changed;
                    *self.reader() = None;
                    return Ok(());
                }
                Err(heed::Error::Mdb(MdbError::MapFull)) => self.grow()?,
                Err(error) => return Err(lmdb(&self.path)(error)),
            }
        }
    }

    fn grow(&self) -> Result<(), IndexError> {
        let _alone = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let mut reader = self.reader();
        *reader = None;
        let bytes = self.env.info().map_size.saturating_mul(2);
        log::info!("the index's map grows: bytes={bytes}");
        // SAFETY: no transaction of this process lives while the lock is held, and no other
        // process has the index open.
        unsafe { self.env.resize(bytes) }.map_err(lmdb(&self.path))
    }

    fn put_rows(
        &self,
        txn: &mut RwTxn<'_>,
        rows: &[Entry],
        changed: &mut Checkpoint,
    ) -> Result<(), heed::Error> {
        let mut last: Option<Key> = self.db.last(txn)?.and_then(|(key, _)| key.try_into().ok());
        for (index, Entry { key, value, hash }) in rows.iter().enumerate() {
            if rows.get(index + 1).is_some_and(|next| next.key == *key) {
                continue;
            }
            if last.is_none_or(|last| *key > last) {
                // Behind all others it needs no search and leaves full pages.
                self.db.put_with_flags(txn, PutFlags::APPEND, key, value)?;
                last = Some(*key);
            } else if let Some(before) = self.db.get_or_put(txn, key, value)? {
                let place = decode_place(key, before).ok_or(MdbError::Corrupted)?;
                let before = self::hash(&Row { key: *key, place });
                changed.hash = changed.hash.wrapping_sub(before);
                changed.rows -= 1;
                self.db.put(txn, key, value)?;
            }
            changed.rows += 1;
            changed.hash = changed.hash.wrapping_add(*hash);
        }
        Ok(())
    }

    fn key(&self, key: &[u8]) -> Result<Key, IndexError> {
        key.try_into().map_err(|_| corrupt(&self.path, "a key has a wrong length"))
    }

    fn place(&self, key: &Key, value: &[u8]) -> Result<Place, IndexError> {
        decode_place(key, value).ok_or_else(|| corrupt(&self.path, "a row's checksum is wrong"))
    }
}

/// Makes sure that there is room for LMDB's file of readers. LMDB maps it and writes to the map:
/// on a full disk that ends the process by SIGBUS.
fn reserve_lock(dir: &Path) -> Result<(), IndexError> {
    let path = dir.join(LOCK_NAME);
    let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(failed(IoOp::Create, &path))?;
    match DirFile::reserve(&file, LOCK_BYTES as u64) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            // Nobody else has it open, and LMDB sets it up anew.
            file.write_at(&[0; LOCK_BYTES], 0)
        }
        other => other,
    }
    .map_err(failed(IoOp::Write, &path))
}

/// What is on the disk where the index should be.
#[derive(Debug)]
pub(super) enum Inspection {
    /// Nothing.
    Missing,
    /// An index, whole and as it was written.
    Whole(Checkpoint),
    /// One that a crash may have left behind: it was not closed in order, and is not whole.
    Torn(String),
}

/// Reads the whole index without mapping it and makes sure that it is what was written.
pub(super) fn inspect(dir: &Path, visit: &mut dyn FnMut(&Row)) -> Result<Inspection, IndexError> {
    let path = dir.join(FILE_NAME);
    let file = match std::fs::File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Inspection::Missing),
        other => other.map_err(failed(IoOp::Open, &path))?,
    };
    let mut seen = Seen::default();
    let checked = lmdb_check::check(&file, |key, value| seen.entry(key, value, visit));
    let reason = match checked {
        Err(CheckError::Io(source)) => {
            return Err(IndexError::Io { op: IoOp::Read, path, source });
        }
        Err(error) => error.to_string(),
        Ok(_) => match (seen.problem, &seen.checkpoint) {
            (Some(problem), _) => problem.to_owned(),
            (None, None) if seen.rows == 0 => return Ok(Inspection::Missing),
            (None, None) => "it has no checkpoint".to_owned(),
            (None, Some(checkpoint))
                if (checkpoint.rows, checkpoint.hash) != (seen.rows, seen.hash) =>
            {
                "its rows are not those that were written".to_owned()
            }
            (None, Some(_)) => String::new(),
        },
    };
    match seen.checkpoint {
        Some(checkpoint) if reason.is_empty() => Ok(Inspection::Whole(checkpoint)),
        Some(Checkpoint { is_clean: false, .. }) => Ok(Inspection::Torn(reason)),
        _ => Err(IndexError::Corrupt { path, reason }),
    }
}

#[derive(Default)]
struct Seen {
    rows: u64,
    hash: u128,
    checkpoint: Option<Checkpoint>,
    problem: Option<&'static str>,
}

impl Seen {
    fn entry(&mut self, key: &[u8], value: &[u8], visit: &mut dyn FnMut(&Row)) {
        if key == CHECKPOINT_KEY {
            self.checkpoint = Checkpoint::decode(value);
            if self.checkpoint.is_none() {
                self.problem = Some("its checkpoint is not what was written");
            }
            return;
        }
        let row = key
            .try_into()
            .ok()
            .and_then(|key| Some(Row { key, place: decode_place(&key, value)? }));
        match row {
            Some(row) => {
                self.rows += 1;
                self.hash = self.hash.wrapping_add(hash(&row));
                visit(&row);
            }
            None => self.problem = Some("a row is not what was written"),
        }
    }
}

impl Checkpoint {
    /// Returns the checkpoint of an empty index of a log.
    pub(super) fn empty(log_id: [u8; 16]) -> Self {
        Self {
            log_id,
            indexed: Lsn(0),
            prev_crc: 0,
            first: Lsn(0),
            rows: 0,
            hash: 0,
            is_clean: false,
            state: None,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let state = self.state.as_deref();
        let mut out = Vec::with_capacity(CHECKPOINT_BYTES + state.map_or(0, <[u8]>::len));
        let flags = u16::from(self.is_clean) * FLAG_CLEAN + u16::from(state.is_some()) * FLAG_STATE;
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.extend_from_slice(&flags.to_be_bytes());
        out.extend_from_slice(&self.log_id);
        out.extend_from_slice(&self.indexed.0.to_be_bytes());
        out.extend_from_slice(&self.prev_crc.to_be_bytes());
        out.extend_from_slice(&self.first.0.to_be_bytes());
        out.extend_from_slice(&self.rows.to_be_bytes());
        out.extend_from_slice(&self.hash.to_be_bytes());
        out.extend_from_slice(state.unwrap_or_default());
        let crc = crc(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (bytes, sum) = bytes.split_last_chunk()?;
        if crc(bytes) != u32::from_be_bytes(*sum) {
            return None;
        }
        let (format, rest) = bytes.split_first_chunk()?;
        let (flags, rest) = rest.split_first_chunk()?;
        let (&log_id, rest) = rest.split_first_chunk()?;
        let (indexed, rest) = rest.split_first_chunk()?;
        let (prev_crc, rest) = rest.split_first_chunk()?;
        let (first, rest) = rest.split_first_chunk()?;
        let (rows, rest) = rest.split_first_chunk()?;
        let (hash, state) = rest.split_first_chunk()?;
        let flags = u16::from_be_bytes(*flags);
        (u16::from_be_bytes(*format) == FORMAT).then(|| Self {
            log_id,
            indexed: Lsn(u64::from_be_bytes(*indexed)),
            prev_crc: u32::from_be_bytes(*prev_crc),
            first: Lsn(u64::from_be_bytes(*first)),
            rows: u64::from_be_bytes(*rows),
            hash: u128::from_be_bytes(*hash),
            is_clean: flags & FLAG_CLEAN != 0,
            state: (flags & FLAG_STATE != 0).then(|| state.to_vec()),
        })
    }
}

fn encode_place(key: &Key, place: Place) -> [u8; ROW_BYTES] {
    let mut row = [0; 28];
    row[..16].copy_from_slice(key);
    row[16..24].copy_from_slice(&place.lsn.0.to_be_bytes());
    row[24..].copy_from_slice(&place.len.to_be_bytes());
    let mut value = [0; ROW_BYTES];
    value[..12].copy_from_slice(&row[16..]);
    value[12..].copy_from_slice(&crc(&row).to_be_bytes());
    value
}

fn decode_place(key: &Key, value: &[u8]) -> Option<Place> {
    let value: &[u8; ROW_BYTES] = value.try_into().ok()?;
    let lsn = u64::from_be_bytes(*value.first_chunk()?);
    let len = u32::from_be_bytes([value[8], value[9], value[10], value[11]]);
    let place = Place { lsn: Lsn(lsn), len };
    (encode_place(key, place) == *value).then_some(place)
}

/// Returns a row's part of the sum: two lanes of the splitmix64 finalizer (Steele, Lea and Flood,
/// 2014) over all of its bits. The sum of all rows does not depend on their order.
fn hash(row: &Row) -> u128 {
    let mix = |mut x: u64| {
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    let key = u128::from_be_bytes(row.key);
    let [high, low] = [key >> 64, key & u128::from(u64::MAX)]
        .map(|half| u64::try_from(half).expect("half of 128 bits"));
    let a = mix(high.wrapping_add(0x9e37_79b9_7f4a_7c15));
    let b = mix(low ^ a);
    let c = mix(b.wrapping_add(row.place.lsn.0));
    let d = mix(c ^ u64::from(row.place.len));
    u128::from(d) << 64 | u128::from(mix(d.wrapping_add(a)))
}

fn corrupt(path: &Path, reason: &str) -> IndexError {
    IndexError::Corrupt { path: path.to_owned(), reason: reason.to_owned() }
}

fn failed(op: IoOp, path: &Path) -> impl FnOnce(io::Error) -> IndexError {
    let path = path.to_owned();
    move |source| IndexError::Io { op, path, source }
}

/// Sorts LMDB's failures: what the system refuses, and what should not be.
fn lmdb(path: &Path) -> impl FnOnce(heed::Error) -> IndexError {
    let path = path.to_owned();
    move |error| match error {
        heed::Error::Io(source) => IndexError::Io { op: IoOp::Write, path, source },
        // The system refused to write its meta page; nothing says that the file is damaged.
        heed::Error::Mdb(MdbError::Panic) => {
            IndexError::Io { op: IoOp::Sync, path, source: io::Error::other(MdbError::Panic) }
        }
        other => IndexError::Corrupt { path, reason: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u64) -> Row {
        let key = (u128::from(number) << 64).to_be_bytes();
        Row { key, place: Place { lsn: Lsn(number * 100), len: 100 } }
    }

    fn add(lmdb: &Lmdb, numbers: std::ops::Range<u64>, checkpoint: &mut Checkpoint) {
        let mut rows: Vec<Entry> = numbers.map(|number| Entry::new(&row(number))).collect();
        lmdb.add(&mut rows, checkpoint).unwrap();
    }

    #[test]
    fn a_full_map_grows_and_what_was_to_be_added_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let lmdb = Lmdb::open_sized(dir.path(), Durability::Synced, 64 << 10).unwrap();
        let mut checkpoint = Checkpoint::empty([7; 16]);
        add(&lmdb, 1..10, &mut checkpoint);
        // A reader that is kept must not be in the way.
        assert_eq!(lmdb.get(&row(3).key).unwrap(), Some(row(3).place));
        add(&lmdb, 10..20_000, &mut checkpoint);
        assert!(lmdb.env.info().map_size >= 20_000 * 32, "{}", lmdb.env.info().map_size);
        for number in [3, 10, 19_999] {
            assert_eq!(lmdb.get(&row(number).key).unwrap(), Some(row(number).place));
        }
        drop(lmdb);
        let found = inspect(dir.path(), &mut |_| {}).unwrap();
        assert!(matches!(found, Inspection::Whole(whole) if whole.rows == 19_999));
    }

    #[test]
    fn rows_are_retired_in_several_transactions_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let lmdb = Lmdb::open(dir.path(), Durability::Synced).unwrap();
        let mut checkpoint = Checkpoint::empty([7; 16]);
        let count = 2 * RETIRE_ROWS as u64 + 100;
        add(&lmdb, 1..count + 1, &mut checkpoint);
        let first = row(count - 10).place.lsn;
        lmdb.retire(first, &mut checkpoint).unwrap();
        assert_eq!((checkpoint.rows, checkpoint.first), (11, first));
        assert_eq!(lmdb.get(&row(count - 11).key).unwrap(), None);
        assert_eq!(lmdb.get(&row(count - 10).key).unwrap(), Some(row(count - 10).place));
        drop(lmdb);
        let found = inspect(dir.path(), &mut |_| {}).unwrap();
        assert!(matches!(found, Inspection::Whole(whole) if whole == checkpoint));
    }
}
