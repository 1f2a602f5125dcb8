//! Decides whether an LMDB file may be mapped.
//!
//! LMDB has no checksums. It believes every page number, length and offset that it finds in its
//! map: a damaged or truncated file ends the process by SIGSEGV or SIGBUS, or gives wrong answers.
//! [`check`] reads the same bytes with plain reads, believes none of them, and names what it finds.
//! Run it while nobody writes the file.
//!
//! What holds of a file that passes:
//!
//! - LMDB takes the newest state of all that it finished writing.
//! - Every page that LMDB can reach from it lies in the file, is of the right kind, is reached
//!   once, and is not free. All its offsets lie inside it and its nodes fill it without overlap.
//! - All keys ascend, and every key is found by search as well as by walking: each lies between
//!   the separators of all branches above it.
//! - The counts of pages and entries are those of the meta page.
//! - The pages that LMDB would write next are neither in use nor listed twice.
//!
//! What no reader of the file can see: changed bytes inside a value or (while the order holds) a
//! key, the length of one of them off by a padding byte or within the last page of a long value, a
//! map that is too large, and a file that is as a whole an older state of itself. So the caller
//! compares what `visit` was shown with a count and a hash, over lengths too, that it keeps
//! elsewhere.
//!
//! The format is that of LMDB 0.9 (data version 1) on a machine with 64-bit words; numbers are in
//! the machine's byte order. Only the unnamed database is known, with plain keys: no duplicates,
//! no named databases.
//!
//! ```text
//! page header, 16 bytes
//!    0   8  page number
//!    8   2  unused here
//!   10   2  flags: 1 branch, 2 leaf, 4 overflow, 8 meta
//!   12   2  end of the node offsets      overflow: 12  4  count of pages
//!   14   2  begin of the nodes
//!   16      meta: below; overflow: the value; else 2-byte offsets of nodes, in key order
//!
//! node, on an even offset
//!    0   4  leaf: length of the value; branch: child page, low bits
//!    4   2  leaf: flags, 1 = the value is the number of an overflow page; branch: high bits
//!    6   2  length of the key; none in the first node of a branch
//!    8      key, value
//!
//! meta, pages 0 and 1: transaction n writes page n mod 2
//!   16   4  magic
//!   20   4  data version
//!   24   8  unused here
//!   32   8  size of the map
//!   40  48  tree of free pages: keys are transactions, values are a count and page numbers
//!   88  48  tree of entries
//!  136   8  last page
//!  144   8  transaction
//!
//! tree, 48 bytes
//!    0   4  free pages: page size
//!    4   2  flags
//!    6   2  depth
//!    8  24  counts of branch, leaf and overflow pages
//!   32   8  count of entries
//!   40   8  root page, all ones if it is empty
//! ```

use std::io;

use super::dir::ReadAt;

mod meta;
mod page;
mod pages;
mod walk;

#[cfg(test)]
mod tests;

use meta::Metas;
use pages::{Claims, Pages};
use walk::{Tour, TreeKind};

/// What an LMDB file that may be mapped says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// How many entries the unnamed database has.
    pub entries: u64,
    /// The length of a page.
    pub page_bytes: u32,
    /// The size of the map that its last writer used; a multiple of the page's length.
    pub map_bytes: u64,
    /// The number of the last page that is in use or was once.
    pub last_page: u64,
    /// The newest transaction.
    pub txn: u64,
    /// Pages that are neither in use nor free. They are lost room and nothing else: LMDB never
    /// touches them again. It had faults that lost pages, so they don't tell of damage.
    pub lost_pages: u64,
}

/// Why an LMDB file can't be mapped.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The system refused.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("it is no LMDB file")]
    Foreign,
    /// It was written on a machine with another byte order or word size.
    #[error("it was written on a machine of another kind")]
    Architecture,
    /// It was written by a version of LMDB that has another format.
    #[error("it has LMDB data version {found}, this program knows {known}", known = meta::VERSION)]
    Version {
        /// Its data version.
        found: u32,
    },
    /// It ends before a page that is in use.
    #[error("it has {bytes} bytes and needs at least {expected}")]
    Truncated {
        /// The file's length.
        bytes: u64,
        /// The length that it has at least when it is whole.
        expected: u64,
    },
    /// It is not what LMDB wrote.
    #[error("its page {page} is damaged: {reason}")]
    Damaged {
        /// The page.
        page: u64,
        /// What is wrong there.
        reason: &'static str,
    },
}

impl CheckError {
    fn damaged(page: u64) -> impl Fn(&'static str) -> Self {
        move |reason| Self::Damaged { page, reason }
    }
}

/// Reads all of an LMDB file that is in use and calls `visit` with every key and value of its
/// unnamed database, in the order of the keys.
///
/// What `visit` was shown may only be believed once this has returned without an error. The file
/// may be shorter than its last page: LMDB never writes a page that is free again by the end of
/// the transaction that took it.
///
/// Memory is one bit for each page, a few pages for each level of the trees, and the longest
/// value.
///
/// # Errors
/// [`CheckError`] if LMDB must not map the file.
pub fn check(
    file: &(impl ReadAt + ?Sized),
    mut visit: impl FnMut(&[u8], &[u8]),
) -> Result<Checked, CheckError> {
    let bytes = file.bytes()?;
    let metas = Metas::read(file, bytes)?;
    let meta = metas.newer();
    let pages = Pages::new(file, bytes, meta.page_bytes, meta.last_page);
    let mut claims = Claims::new(&pages)?;

    let mut newest_freed = 0;
    let visit_free = |claims: &mut Claims, key: &[u8], record: &[u8]| {
        newest_freed = walk::txn_of(key);
        take_free(claims, meta.txn, newest_freed, record)
    };
    let is_free_right =
        Tour::new(TreeKind::Free, &pages, &mut claims, visit_free).walk(&meta.free)?;
    metas.verify_order(file, bytes, newest_freed)?;
    let visit_main = |_: &mut Claims, key: &[u8], value: &[u8]| {
        visit(key, value);
        Ok(())
    };
    let is_main_right =
        Tour::new(TreeKind::Main, &pages, &mut claims, visit_main).walk(&meta.main)?;
    if !is_free_right || !is_main_right {
        let damaged = CheckError::damaged(metas.newer_page());
        return Err(damaged("it counts other pages or entries than there are"));
    }

    let (unclaimed, last_unclaimed) = claims.unclaimed();
    if pages.end_of(last_unclaimed) > bytes {
        return Err(CheckError::Truncated { bytes, expected: pages.end_of(last_unclaimed) });
    }
    Ok(Checked {
        entries: meta.main.entries,
        page_bytes: meta.page_bytes,
        map_bytes: meta.map_bytes,
        last_page: meta.last_page,
        txn: meta.txn,
        lost_pages: unclaimed,
    })
}

/// Takes the pages that one record of the tree of free pages lists: a count, then page numbers
/// that descend; the record may be longer. LMDB merges them without looking.
fn take_free(
    claims: &mut Claims,
    newest: u64,
    txn: u64,
    record: &[u8],
) -> Result<(), &'static str> {
    if txn == 0 || txn > newest {
        return Err("it lists free pages of a transaction that never was");
    }
    let (words, rest) = record.as_chunks::<8>();
    let mut words = words.iter().map(|word| u64::from_ne_bytes(*word));
    let count = words.next().ok_or("a list of free pages has no count")?;
    if !rest.is_empty() || count > words.len() as u64 {
        return Err("a list of free pages is shorter than its count");
    }
    let mut above = u64::MAX;
    for (_, number) in (0..count).zip(words) {
        if number >= above {
            return Err("a list of free pages does not descend");
        }
        above = number;
        if !claims.claim(number) {
            return Err("it lists a free page that is in use, listed before, or out of range");
        }
    }
    Ok(())
}
