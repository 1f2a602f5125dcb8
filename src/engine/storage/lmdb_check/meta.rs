//! The two meta pages, and which of them LMDB will take.
//!
//! Transaction n writes meta page n mod 2, so the two are of consecutive transactions, n - 1 and
//! n, and LMDB takes the higher one. Both states are whole: n reuses no page of n - 1. A damaged
//! transaction number makes LMDB take the older state as if nothing had happened since. That is
//! seen by these, which hold of every pair that LMDB wrote:
//!
//! - The numbers differ by one and are even on page 0, odd on page 1.
//! - The last page and the size of the map never fall from the older to the newer.
//! - A transaction that changes a tree frees at least the tree's old root, under its own number,
//!   unless there was none; then it takes pages at the end. So the newest list of free pages of a
//!   state is its own transaction's, or its last page has risen, or nothing has changed.
//! - No list of free pages is newer than the state that it belongs to.
//!
//! Of the newer page all is verified that LMDB reads; of the older page only its stamp, the length
//! of a page, and the above: LMDB reads no more of it before it writes the next state over it.
//!
//! A failed write of a meta page leaves one that breaks the last rule: LMDB puts the old
//! transaction number back, and the new trees stay. LMDB would go on with the state before.
//! Such a file is refused: a disk has failed under it, and from the file alone one cannot tell it
//! from a damaged number.

use crate::storage::dir::ReadAt;

use super::CheckError;
use super::page::{HEADER_BYTES, Page, PageKind, u16_at, u32_at, u64_at};
use super::pages::Pages;
use super::walk::{TreeKind, txn_of};

/// The data version.
pub(super) const VERSION: u32 = 1;
/// The root of an empty tree.
const NO_PAGE: u64 = u64::MAX;

const MAGIC: u32 = 0xbeef_c0de;
const META_BYTES: usize = 152;
const FLAG_META: u16 = 8;
/// The order of keys of the tree of free pages, which is kept beside the environment's flags...
const FLAG_INTEGER_KEYS: u16 = 8;
/// ...of which only this one may be set: the environment is a file and not a directory.
const FLAG_NO_SUBDIR: u16 = 0x4000;
/// The lengths of a page are the powers of two between these.
const PAGE_BYTES_LOG2: std::ops::RangeInclusive<u32> = 9..=15;
/// The address space of a process.
const MAP_BYTES_MAX: u64 = 1 << 47;
/// How deep LMDB's cursors reach.
const DEPTH_MAX: u16 = 32;

/// What a meta page says about a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) flags: u16,
    pub(super) depth: u16,
    pub(super) branch_pages: u64,
    pub(super) leaf_pages: u64,
    pub(super) overflow_pages: u64,
    pub(super) entries: u64,
    pub(super) root: u64,
}

impl Tree {
    /// A tree without entries.
    pub(super) const EMPTY: Self = Self {
        flags: 0,
        depth: 0,
        branch_pages: 0,
        leaf_pages: 0,
        overflow_pages: 0,
        entries: 0,
        root: NO_PAGE,
    };

    fn decode(bytes: &[u8]) -> Self {
        Self {
            flags: u16_at(bytes, 4),
            depth: u16_at(bytes, 6),
            branch_pages: u64_at(bytes, 8),
            leaf_pages: u64_at(bytes, 16),
            overflow_pages: u64_at(bytes, 24),
            entries: u64_at(bytes, 32),
            root: u64_at(bytes, 40),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.root == NO_PAGE
    }

    fn verify(&self) -> Result<(), &'static str> {
        if self.is_empty() && *self != (Self { flags: self.flags, ..Self::EMPTY }) {
            return Err("it counts pages of an empty tree");
        }
        if !self.is_empty() && !(1..=DEPTH_MAX).contains(&self.depth) {
            return Err("the depth of a tree is out of range");
        }
        Ok(())
    }
}

/// One meta page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) page_bytes: u32,
    pub(super) map_bytes: u64,
    pub(super) free: Tree,
    pub(super) main: Tree,
    pub(super) last_page: u64,
    pub(super) txn: u64,
}

impl Meta {
    /// Reads a meta page whose stamp is right.
    fn decode(bytes: &[u8; META_BYTES], page: u64) -> Result<Self, &'static str> {
        if u64_at(bytes, 0) != page || u16_at(bytes, 10) != FLAG_META {
            return Err("it is no meta page, or another one's");
        }
        let page_bytes = u32_at(bytes, 40);
        if !page_bytes.is_power_of_two() || !PAGE_BYTES_LOG2.contains(&page_bytes.ilog2()) {
            return Err("it gives pages a length that none has");
        }
        Ok(Self {
            page_bytes,
            map_bytes: u64_at(bytes, 32),
            free: Tree::decode(&bytes[40..88]),
            main: Tree::decode(&bytes[88..136]),
            last_page: u64_at(bytes, 136),
            txn: u64_at(bytes, 144),
        })
    }

    /// Verifies what LMDB believes of the page that it takes.
    fn verify(&self) -> Result<(), &'static str> {
        if self.main.flags != 0 || self.free.flags & !FLAG_NO_SUBDIR != FLAG_INTEGER_KEYS {
            return Err("its databases are of another kind");
        }
        let page_bytes = u64::from(self.page_bytes);
        if self.map_bytes > MAP_BYTES_MAX || !self.map_bytes.is_multiple_of(page_bytes) {
            return Err("the size of its map is none");
        }
        if self.last_page == 0 || self.last_page >= self.map_bytes / page_bytes {
            return Err("its last page lies outside of its map");
        }
        self.free.verify()?;
        self.main.verify()
    }

    fn is_virgin(&self) -> bool {
        self.txn == 0 && self.last_page == 1 && self.free.is_empty() && self.main.is_empty()
    }
}

/// What the first bytes of a meta page show.
enum Stamp {
    Current,
    OtherVersion(u32),
    OtherArchitecture,
    None,
}

impl Stamp {
    fn of(bytes: &[u8; META_BYTES]) -> Self {
        let is_magic = |at| [MAGIC, MAGIC.swap_bytes()].contains(&u32_at(bytes, at));
        match (u32_at(bytes, 16), u32_at(bytes, 20)) {
            (MAGIC, VERSION) => Self::Current,
            (MAGIC, other) => Self::OtherVersion(other),
            // With 32-bit words the page's number, and so the header, is four bytes shorter.
            _ if is_magic(16) || is_magic(12) => Self::OtherArchitecture,
            _ => Self::None,
        }
    }
}

/// Both meta pages of a file, and which of them LMDB takes.
pub(super) struct Metas {
    both: [Meta; 2],
    newer: usize,
}

impl Metas {
    /// Reads both, and verifies what can be verified of them alone.
    pub(super) fn read(file: &(impl ReadAt + ?Sized), bytes: u64) -> Result<Self, CheckError> {
        let first = read_first(file, bytes)?;
        let page_bytes = u64::from(first.page_bytes);
        let second = match read_at(file, page_bytes)? {
            Some(second) if bytes >= 2 * page_bytes => second,
            _ => return Err(CheckError::Truncated { bytes, expected: 2 * page_bytes }),
        };
        let second = match Stamp::of(&second) {
            Stamp::Current => Meta::decode(&second, 1),
            _ => Err("it is no meta page"),
        };
        let second = second.map_err(CheckError::damaged(1))?;
        let metas = Self { newer: usize::from(first.txn < second.txn), both: [first, second] };
        metas.verify_older().map_err(CheckError::damaged(1 - metas.newer_page()))?;
        metas.verify_newer().map_err(CheckError::damaged(metas.newer_page()))?;
        Ok(metas)
    }

    /// Returns the one that LMDB takes.
    pub(super) fn newer(&self) -> &Meta {
        &self.both[self.newer]
    }

    /// Returns on which page that one stands.
    pub(super) fn newer_page(&self) -> u64 {
        self.newer as u64
    }

    fn older(&self) -> &Meta {
        &self.both[1 - self.newer]
    }

    fn verify_older(&self) -> Result<(), &'static str> {
        if self.older().txn == 0 && !self.older().is_virgin() {
            return Err("it has pages of no transaction");
        }
        self.older().free.verify()
    }

    fn verify_newer(&self) -> Result<(), &'static str> {
        let (newer, older) = (self.newer(), self.older());
        let is_next =
            newer.txn.checked_sub(1) == Some(older.txn) && newer.txn % 2 == self.newer_page();
        if !is_next && !newer.is_virgin() {
            return Err("the two meta pages are not of consecutive transactions");
        }
        if newer.page_bytes != older.page_bytes {
            return Err("the two meta pages give pages different lengths");
        }
        if newer.last_page < older.last_page {
            return Err("its last page stands before that of the older meta page");
        }
        if newer.map_bytes < older.map_bytes {
            return Err("its map is smaller than that of the older meta page");
        }
        newer.verify()
    }

    /// Verifies that the newer is the newer by the transactions that freed pages; `newest_freed`
    /// is the newest of those that the newer lists, 0 if it lists none.
    pub(super) fn verify_order(
        &self,
        file: &(impl ReadAt + ?Sized),
        bytes: u64,
        newest_freed: u64,
    ) -> Result<(), CheckError> {
        let (newer, older) = (self.newer(), self.older());
        let is_same = newer.free == older.free && newer.main == older.main;
        if newest_freed != newer.txn && newer.last_page == older.last_page && !is_same {
            let damaged = CheckError::damaged(self.newer_page());
            return Err(damaged("its trees are older than its transaction"));
        }
        let pages = Pages::new(file, bytes, older.page_bytes, older.last_page);
        if newest_key(&pages, &older.free)? > older.txn {
            let damaged = CheckError::damaged(1 - self.newer_page());
            return Err(damaged("its trees are newer than its transaction"));
        }
        Ok(())
    }
}

/// Reads the first meta page, or finds out what else the file is.
fn read_first(file: &(impl ReadAt + ?Sized), bytes: u64) -> Result<Meta, CheckError> {
    let Some(first) = read_at(file, 0)? else {
        return Err(match bytes {
            0 => CheckError::Truncated { bytes, expected: 2 << PAGE_BYTES_LOG2.start() },
            _ => CheckError::Foreign,
        });
    };
    let damaged = CheckError::damaged(0);
    match Stamp::of(&first) {
        Stamp::Current => Meta::decode(&first, 0).map_err(damaged),
        _ if has_second(file)? => Err(damaged("it is no meta page")),
        Stamp::OtherVersion(found) => Err(CheckError::Version { found }),
        Stamp::OtherArchitecture => Err(CheckError::Architecture),
        Stamp::None => Err(CheckError::Foreign),
    }
}

/// Returns the newest transaction that a tree of free pages lists, 0 if it lists none.
fn newest_key(pages: &Pages<impl ReadAt + ?Sized>, tree: &Tree) -> Result<u64, CheckError> {
    let mut buf = Vec::new();
    let mut number = tree.root;
    for level in 1..=tree.depth {
        pages.read(number, 1, &mut buf)?;
        let kind = if level == tree.depth { PageKind::Leaf } else { PageKind::Branch };
        let page = Page::verify(&buf, number, &TreeKind::Free.shape(kind));
        let page = page.map_err(CheckError::damaged(number))?;
        let last = page.node(page.count() - 1);
        if kind == PageKind::Leaf {
            return Ok(txn_of(last.key));
        }
        number = last.child();
    }
    Ok(0)
}

fn read_at(
    file: &(impl ReadAt + ?Sized),
    offset: u64,
) -> Result<Option<[u8; META_BYTES]>, CheckError> {
    let mut bytes = [0; META_BYTES];
    let count = file.read_at(&mut bytes, offset)?;
    Ok((count == META_BYTES).then_some(bytes))
}

/// Returns whether a file has a second meta page, at any length of pages.
fn has_second(file: &(impl ReadAt + ?Sized)) -> Result<bool, CheckError> {
    for shift in PAGE_BYTES_LOG2 {
        let second = read_at(file, 1 << shift)?;
        let is_second = |bytes: &[u8; META_BYTES]| {
            matches!(Stamp::of(bytes), Stamp::Current) && u64_at(bytes, 0) == 1
        };
        if second.as_ref().is_some_and(is_second) {
            return Ok(true);
        }
    }
    Ok(false)
}

const _: () = assert!(META_BYTES == HEADER_BYTES + 136, "a meta page is a header and a meta");
