//! A disk in memory that loses, tears and refuses.
//!
//! What the process sees and what is on the platter are kept apart. A power loss leaves, of what
//! was written since the last sync, any subset of the sectors, each whole, torn at any byte, or
//! garbage; of lengths and names that changed, any part. A failed sync marks pages clean as ext4 does: a
//! later one succeeds and promises nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::lock::LockError;
use crate::storage::dir::{Access, Dir, DirFile, Lock, ReadAt};

const SECTOR: usize = 512;

type Inode = u64;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// EIO, after a random part of the bytes was written.
    Write,
    /// EIO; what was not synced looks synced from now on and is not.
    Sync,
    /// EIO when a file is renamed.
    Rename,
}

/// The disk. Clones are the same disk; after [`Self::crash`] and [`Self::kill`] those of before
/// refuse everything.
#[derive(Clone)]
pub(crate) struct SimDisk {
    platter: Arc<Mutex<Platter>>,
    life: u64,
    path: PathBuf,
}

struct Platter {
    rng: ChaCha8Rng,
    /// Incremented by each death.
    life: u64,
    files: BTreeMap<Inode, Content>,
    next_inode: Inode,
    names: BTreeMap<String, Inode>,
    durable_names: BTreeMap<String, Inode>,
    /// Changes of names since the last sync of the directory.
    name_changes: Vec<NameChange>,
    locks: BTreeSet<String>,
    /// Writing operations until the fault strikes.
    fault: Option<(u64, Fault)>,
    has_failed_a_sync: bool,
    /// Bytes that all files together may have.
    room: Option<u64>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Put(String, Inode),
    Rename(String, String),
    Remove(String),
}

/// A file: what is seen, and what of it was there at the last sync.
#[derive(Clone, Default)]
struct Content {
    seen: Vec<u8>,
    /// The sectors that were written since, as they were.
    before: BTreeMap<usize, [u8; SECTOR]>,
    durable_len: usize,
    /// Sectors that a failed sync left behind: they look clean and are not on the platter.
    lost: BTreeMap<usize, [u8; SECTOR]>,
}

impl SimDisk {
    /// Returns an empty disk.
    pub(crate) fn new(seed: u64) -> Self {
        let platter = Platter {
            rng: ChaCha8Rng::seed_from_u64(seed),
            life: 0,
            files: BTreeMap::new(),
            next_inode: 0,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_changes: Vec::new(),
            locks: BTreeSet::new(),
            fault: None,
            has_failed_a_sync: false,
            room: None,
        };
        Self { platter: Arc::new(Mutex::new(platter)), life: 0, path: PathBuf::from("/disk") }
    }

    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.platter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, Platter>> {
        let platter = self.lock();
        if platter.life == self.life { Ok(platter) } else { Err(eio()) }
    }

    /// The power fails.
    pub(crate) fn crash(&self) -> Self {
        let mut platter = self.lock();
        platter.lose_power();
        self.next_life(platter)
    }

    /// The process dies.
    pub(crate) fn kill(&self) -> Self {
        self.next_life(self.lock())
    }

    fn next_life(&self, mut platter: MutexGuard<'_, Platter>) -> Self {
        platter.life += 1;
        platter.locks.clear();
        platter.fault = None;
        Self { platter: Arc::clone(&self.platter), life: platter.life, path: self.path.clone() }
    }

    /// Has the writing operation that comes after `operations` others fail, once.
    pub(crate) fn fail_after(&self, operations: u64, fault: Fault) {
        self.lock().fault = Some((operations, fault));
    }

    /// Returns whether a sync has failed since this was asked last.
    pub(crate) fn has_failed_a_sync(&self) -> bool {
        std::mem::take(&mut self.lock().has_failed_a_sync)
    }

    /// Limits the bytes that all files together may have.
    pub(crate) fn set_room(&self, bytes: Option<u64>) {
        self.lock().room = bytes;
    }

    /// Returns whether a helper gets round to its next job now.
    pub(crate) fn is_quick(&self) -> bool {
        self.lock().below(2) == 0
    }

    /// Returns what a file holds.
    pub(crate) fn content(&self, name: &str) -> Option<Vec<u8>> {
        let platter = self.lock();
        Some(platter.files[platter.names.get(name)?].seen.clone())
    }

    /// Puts a file there, durably, as somebody from outside would.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        let mut platter = self.lock();
        let inode = match platter.names.get(name) {
            Some(&inode) => inode,
            None => platter.new_inode(),
        };
        let content =
            Content { seen: bytes.to_vec(), durable_len: bytes.len(), ..Content::default() };
        platter.files.insert(inode, content);
        platter.names.insert(name.to_owned(), inode);
        platter.durable_names.insert(name.to_owned(), inode);
    }
}

fn eio() -> io::Error {
    io::Error::from_raw_os_error(nix::libc::EIO)
}

fn not_found() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl Platter {
    fn new_inode(&mut self) -> Inode {
        self.next_inode += 1;
        self.next_inode
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = bound.max(1) as u64;
        usize::try_from(self.rng.next_u64() % bound).expect("it is below a usize")
    }

    /// Counts a writing operation; returns the fault if it strikes now.
    fn operation(&mut self, kind: Fault) -> Option<Fault> {
        match &mut self.fault {
            Some((0, fault)) if *fault == kind => {
                self.has_failed_a_sync |= kind == Fault::Sync;
                self.fault.take().map(|(_, fault)| fault)
            }
            Some((0, _)) | None => None,
            Some((left, _)) => {
                *left -= 1;
                None
            }
        }
    }

    fn lose_power(&mut self) {
        let mut names = self.durable_names.clone();
        for change in std::mem::take(&mut self.name_changes) {
            // Names change in order; a later change is not there without the earlier ones.
            if self.below(4) == 0 {
                break;
            }
            apply(&mut names, &change);
        }
        self.names.clone_from(&names);
        self.durable_names = names;
        let kept: BTreeSet<Inode> = self.names.values().copied().collect();
        self.files.retain(|inode, _| kept.contains(inode));
        let inodes: Vec<Inode> = self.files.keys().copied().collect();
        for inode in inodes {
            let mut content = self.files.remove(&inode).expect("it was listed");
            self.lose_sectors(&mut content);
            self.files.insert(inode, content);
        }
    }

    fn lose_sectors(&mut self, content: &mut Content) {
        let seen = content.seen.len();
        let before = std::mem::take(&mut content.before);
        let lost = std::mem::take(&mut content.lost);
        for (sector, old) in before {
            match self.below(6) {
                0 | 3 => {}
                1 => content.put_sector(sector, &old),
                2 => {
                    let mut garbage = [0; SECTOR];
                    self.rng.fill_bytes(&mut garbage);
                    content.put_sector(sector, &garbage);
                }
                _ => {
                    let (cut, mut torn) = (self.below(SECTOR), old);
                    let new = content.sector(sector);
                    if self.below(2) == 0 {
                        torn[..cut].copy_from_slice(&new[..cut]);
                    } else {
                        torn[cut..].copy_from_slice(&new[cut..]);
                    }
                    content.put_sector(sector, &torn);
                }
            }
        }
        for (sector, old) in lost {
            content.put_sector(sector, &old);
        }
        let (low, high) = (seen.min(content.durable_len), seen.max(content.durable_len));
        let len = match self.below(3) {
            0 => low,
            1 => high,
            _ => low + self.below(high - low + 1),
        };
        content.seen.resize(len, 0);
        content.durable_len = len;
    }

    fn used(&self) -> u64 {
        self.names.values().map(|inode| self.files[inode].seen.len() as u64).sum()
    }
}

fn apply(names: &mut BTreeMap<String, Inode>, change: &NameChange) {
    match change {
        NameChange::Put(name, inode) => drop(names.insert(name.clone(), *inode)),
        NameChange::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
        NameChange::Remove(name) => drop(names.remove(name)),
    }
}

impl Content {
    fn sector(&self, sector: usize) -> [u8; SECTOR] {
        let mut bytes = [0; SECTOR];
        let rest = self.seen.get(sector * SECTOR..).unwrap_or_default();
        let count = rest.len().min(SECTOR);
        bytes[..count].copy_from_slice(&rest[..count]);
        bytes
    }

    fn put_sector(&mut self, sector: usize, bytes: &[u8; SECTOR]) {
        let rest = self.seen.get_mut(sector * SECTOR..).unwrap_or_default();
        let count = rest.len().min(SECTOR);
        rest[..count].copy_from_slice(&bytes[..count]);
    }

    fn write(&mut self, bytes: &[u8], offset: usize) {
        if bytes.is_empty() {
            return;
        }
        for sector in offset / SECTOR..=(offset + bytes.len() - 1) / SECTOR {
            let old = self.lost.remove(&sector).unwrap_or_else(|| self.sector(sector));
            self.before.entry(sector).or_insert(old);
        }
        let end = offset + bytes.len();
        self.seen.resize(self.seen.len().max(end), 0);
        self.seen[offset..end].copy_from_slice(bytes);
    }
}

impl Dir for SimDisk {
    fn path(&self) -> &Path {
        &self.path
    }

    fn make(&self) -> io::Result<()> {
        self.alive().map(drop)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.alive()?.names.keys().cloned().collect())
    }

    fn open(&self, name: &str, _: Access) -> io::Result<Arc<dyn DirFile>> {
        let inode = *self.alive()?.names.get(name).ok_or_else(not_found)?;
        Ok(Arc::new(SimFile { disk: self.clone(), inode }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DirFile>> {
        let mut platter = self.alive()?;
        if platter.operation(Fault::Write).is_some() {
            return Err(eio());
        }
        let inode = platter.new_inode();
        platter.files.insert(inode, Content::default());
        platter.names.insert(name.to_owned(), inode);
        platter.name_changes.push(NameChange::Put(name.to_owned(), inode));
        drop(platter);
        Ok(Arc::new(SimFile { disk: self.clone(), inode }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut platter = self.alive()?;
        if platter.operation(Fault::Rename).is_some() {
            return Err(eio());
        }
        let inode = platter.names.remove(from).ok_or_else(not_found)?;
        platter.names.insert(to.to_owned(), inode);
        platter.name_changes.push(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut platter = self.alive()?;
        platter.operation(Fault::Write);
        platter.names.remove(name).ok_or_else(not_found)?;
        platter.name_changes.push(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut platter = self.alive()?;
        if platter.operation(Fault::Sync).is_some() {
            return Err(eio());
        }
        platter.durable_names = platter.names.clone();
        platter.name_changes.clear();
        Ok(())
    }

    fn lock(&self, name: &str) -> Result<Box<dyn Lock>, LockError> {
        let mut platter = self.alive()?;
        if !platter.locks.insert(name.to_owned()) {
            return Err(LockError::Held { holder: "simulated".to_owned() });
        }
        drop(platter);
        Ok(Box::new(SimLock { disk: self.clone(), name: name.to_owned() }))
    }
}

struct SimLock {
    disk: SimDisk,
    name: String,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        if let Ok(mut platter) = self.disk.alive() {
            platter.locks.remove(&self.name);
        }
    }
}

struct SimFile {
    disk: SimDisk,
    inode: Inode,
}

impl SimFile {
    fn change<T>(&self, change: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        let mut platter = self.disk.alive()?;
        platter.files.get_mut(&self.inode).map(change).ok_or_else(eio)
    }

    fn sync(&self) -> io::Result<()> {
        let mut platter = self.disk.alive()?;
        let fault = platter.operation(Fault::Sync);
        let content = platter.files.get_mut(&self.inode).ok_or_else(eio)?;
        let before = std::mem::take(&mut content.before);
        if fault.is_some() {
            content.lost.extend(before);
            return Err(eio());
        }
        content.durable_len = content.seen.len();
        Ok(())
    }
}

impl ReadAt for SimFile {
    fn bytes(&self) -> io::Result<u64> {
        self.change(|content| content.seen.len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.change(|content| {
            let at = usize::try_from(offset).unwrap_or(usize::MAX);
            let rest = content.seen.get(at..).unwrap_or_default();
            let count = rest.len().min(buf.len());
            buf[..count].copy_from_slice(&rest[..count]);
            count
        })
    }
}

impl DirFile for SimFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).expect("a simulated file is small");
        let mut platter = self.disk.alive()?;
        let fault = platter.operation(Fault::Write);
        let seen = platter.files.get(&self.inode).ok_or_else(eio)?.seen.len();
        let grows = (offset + bytes.len()).saturating_sub(seen) as u64;
        let is_full = platter.room.is_some_and(|room| platter.used() + grows > room);
        let part = match (fault, is_full) {
            (None, false) => bytes.len(),
            (None, true) => bytes.len().min(seen.saturating_sub(offset)),
            (Some(_), _) => platter.below(bytes.len() + 1),
        };
        let content = platter.files.get_mut(&self.inode).ok_or_else(eio)?;
        content.write(&bytes[..part], offset);
        match (fault, is_full) {
            (None, false) => Ok(()),
            (None, true) => Err(io::Error::from_raw_os_error(nix::libc::ENOSPC)),
            (Some(_), _) => Err(eio()),
        }
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        let mut platter = self.disk.alive()?;
        if platter.operation(Fault::Write).is_some() {
            return Err(eio());
        }
        let seen = platter.files.get(&self.inode).ok_or_else(eio)?.seen.len();
        let grows = bytes.saturating_sub(seen as u64);
        if platter.room.is_some_and(|room| platter.used() + grows > room) {
            return Err(io::Error::from_raw_os_error(nix::libc::ENOSPC));
        }
        let bytes = usize::try_from(bytes).expect("a simulated file is small");
        let content = platter.files.get_mut(&self.inode).ok_or_else(eio)?;
        content.seen.resize(seen.max(bytes), 0);
        Ok(())
    }

    fn set_bytes(&self, bytes: u64) -> io::Result<()> {
        let bytes = usize::try_from(bytes).expect("a simulated file is small");
        self.disk.alive()?.operation(Fault::Write);
        self.change(|content| content.seen.resize(bytes, 0))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync()
    }

    fn forget(&self) {
        // The dead forget nothing any more.
        let _ = self.change(|content| {
            for (sector, old) in std::mem::take(&mut content.lost) {
                content.put_sector(sector, &old);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes `synced` and syncs, then overwrites with `unsynced`, and loses the power.
    fn after_crash(seed: u64, synced: &[u8], unsynced: &[u8]) -> Vec<u8> {
        let disk = SimDisk::new(seed);
        let file = disk.create("a").unwrap();
        file.write_at(synced, 0).unwrap();
        file.sync_data().unwrap();
        Dir::sync(&disk).unwrap();
        file.write_at(unsynced, 0).unwrap();
        disk.crash().content("a").unwrap()
    }

    #[test]
    fn unsynced_sectors_persist_in_any_subset() {
        let (old, new) = (vec![1; 2 * SECTOR], vec![2; 2 * SECTOR]);
        let left: BTreeSet<Vec<u8>> = (0..400).map(|seed| after_crash(seed, &old, &new)).collect();
        assert!(left.contains(&old) && left.contains(&new) && left.len() > 50);
        let is_hole = |bytes: &Vec<u8>| bytes[..SECTOR] == old[..SECTOR] && bytes[SECTOR] == 2;
        assert!(left.iter().any(is_hole), "a later sector without an earlier one");
        assert!(left.iter().any(|bytes| bytes[0] != bytes[SECTOR - 1]), "a torn sector");
    }

    #[test]
    fn a_synced_byte_never_changes() {
        for seed in 0..100 {
            let left = after_crash(seed, &[1; 4 * SECTOR], &[2; SECTOR]);
            assert_eq!(left[SECTOR..], [1; 3 * SECTOR]);
        }
    }

    #[test]
    fn the_same_seed_loses_the_same_bytes() {
        let (old, new) = (vec![1; 8 * SECTOR], vec![2; 8 * SECTOR]);
        assert_eq!(after_crash(3, &old, &new), after_crash(3, &old, &new));
    }

    #[test]
    fn after_a_failed_sync_a_later_one_promises_nothing() {
        let disk = SimDisk::new(1);
        let file = disk.create("a").unwrap();
        file.write_at(&[1; SECTOR], 0).unwrap();
        file.sync_data().unwrap();
        Dir::sync(&disk).unwrap();
        file.write_at(&[2; SECTOR], 0).unwrap();
        disk.fail_after(0, Fault::Sync);
        file.sync_data().unwrap_err();
        file.sync_data().unwrap();
        assert_eq!(disk.content("a").unwrap(), [2; SECTOR]);
        assert_eq!(disk.crash().content("a").unwrap(), [1; SECTOR]);
    }

    #[test]
    fn names_come_and_go_in_order() {
        let left: BTreeSet<Vec<String>> = (0..100)
            .map(|seed| {
                let disk = SimDisk::new(seed);
                disk.create("a").unwrap().sync_data().unwrap();
                disk.rename("a", "b").unwrap();
                disk.create("c").unwrap();
                disk.crash().names().unwrap()
            })
            .collect();
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let possible = [names(&[]), names(&["a"]), names(&["b"]), names(&["b", "c"])];
        assert_eq!(left, BTreeSet::from(possible));
    }

    #[test]
    fn the_dead_can_do_nothing_and_hold_nothing() {
        let disk = SimDisk::new(1);
        let file = disk.create("a").unwrap();
        let _held = Dir::lock(&disk, "lock").unwrap();
        assert!(matches!(Dir::lock(&disk, "lock"), Err(LockError::Held { .. })));
        let next = disk.kill();
        file.write_at(b"x", 0).unwrap_err();
        Dir::lock(&next, "lock").unwrap();
    }

    #[test]
    fn a_full_disk_takes_what_does_not_grow() {
        let disk = SimDisk::new(1);
        disk.set_room(Some(SECTOR as u64));
        let file = disk.create("a").unwrap();
        file.write_at(&[1; SECTOR], 0).unwrap();
        let full = file.write_at(&[2; SECTOR], 1).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.content("a").unwrap().len(), SECTOR);
        file.write_at(&[3; SECTOR], 0).unwrap();
    }
}
