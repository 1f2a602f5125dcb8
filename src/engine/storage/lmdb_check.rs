//! Whether an LMDB file may be mapped: every page of it, read as plain bytes.
//!
//! LMDB has no checksums and trusts its file: a flipped bit gives wrong answers or a death by
//! signal, a cut file nearly always the latter. So before it gets to see the file all of it is
//! read here, where bytes are only bytes, and whatever does not fit is named.
//!
//! The file is of version 1, written by a little-endian machine with 64-bit pointers:
//!
//! ```text
//! page    0 8 number | 10 2 flags | 12 2 end of node offsets | 14 2 begin of nodes | 16 offsets
//!         overflow: 12 4 count of pages | 16 data, running on over the following pages
//! meta    page 0 or 1: 16 4 magic | 20 4 version | 24 8 address | 32 8 map size
//!         | 40 48 free-list tree | 88 48 main tree | 136 8 last page | 144 8 transaction
//! tree    0 4 page size (of the free list) | 4 2 flags | 6 2 depth | 8 8 branch pages
//!         | 16 8 leaf pages | 24 8 overflow pages | 32 8 entries | 40 8 root
//! node    0 4 length of data | 4 2 flags | 6 2 length of key | 8 key, data
//!         branch: 0 6 number of the child | 6 2 length of key | 8 key
//! ```

use std::cmp::Ordering;
use std::io;

use super::dir::ReadAt;

const PAGE_HEADER: usize = 16;
const NODE_HEADER: usize = 8;
const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;
const META: u16 = 0x08;
const NODE_BIG: u16 = 0x01;
/// The flag of trees whose keys are numbers: the free list's.
const INTEGER_KEYS: u16 = 0x08;
const META_BYTES: usize = 152;
/// The number of no page.
const NONE: u64 = u64::MAX;
/// LMDB goes no deeper.
const DEPTH_MAX: u16 = 32;
/// More address space than any machine maps.
const MAP_BYTES_MAX: u64 = 1 << 46;
/// The longest key that LMDB takes.
const KEY_BYTES_MAX: usize = 511;
/// The longest value that is looked at: a checkpoint with the state of a very large office.
const VALUE_BYTES_MAX: usize = 1 << 28;

/// What a file that may be mapped holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Entries of the main database.
    pub entries: u64,
    /// The length of a page.
    pub page_bytes: usize,
    /// The transaction that wrote it last.
    pub txn: u64,
}

/// Why a file must not be mapped.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no LMDB file.
    #[error("it is no LMDB file")]
    Foreign,
    /// It was written by a machine of another byte order or pointer size.
    #[error("it was written by another architecture")]
    Architecture,
    /// It is of another version of LMDB.
    #[error("it has LMDB's data version {found}, this program knows {VERSION}")]
    Version {
        /// Its version.
        found: u32,
    },
    /// It ends too early.
    #[error("it is cut off: page {page} is in use and not there")]
    Truncated {
        /// The first page that is missed.
        page: u64,
    },
    /// Something in it does not fit.
    #[error("page {page}: {reason}")]
    Damaged {
        /// Where.
        page: u64,
        /// What.
        reason: &'static str,
    },
}

/// Reads a whole file that nobody writes, visits the entries of its main database in order, and
/// makes sure that LMDB can.
///
/// # Errors
/// [`CheckError`] if it can't; some entries may have been visited by then.
pub fn check(
    file: &dyn ReadAt,
    visit: &mut dyn FnMut(&[u8], &[u8]),
) -> Result<Checked, CheckError> {
    let meta = newest_meta(file)?;
    let pages = usize::try_from(file.bytes()? / meta.page_bytes as u64).unwrap_or(usize::MAX);
    let mut walk = Walk {
        file,
        page_bytes: meta.page_bytes,
        last_page: meta.last_page,
        used: vec![0; pages.div_ceil(64)],
        spare: Vec::new(),
        big: Vec::new(),
    };
    walk.tree(&meta.main, &mut |key, value| {
        visit(key, value);
        Ok(())
    })?;
    let mut free = Vec::new();
    walk.tree(&meta.free, &mut |_, value| {
        free_pages(value, &mut free);
        Ok(())
    })?;
    for &page in &free {
        // The last ones may be beyond the file's end.
        walk.claim(page, true)?;
    }
    Ok(Checked { entries: meta.main.entries, page_bytes: meta.page_bytes, txn: meta.txn })
}

/// What a meta page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Meta {
    page_bytes: usize,
    map_bytes: u64,
    free: Tree,
    main: Tree,
    last_page: u64,
    txn: u64,
}

/// The root of a tree and what it should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tree {
    flags: u16,
    depth: u16,
    branches: u64,
    leaves: u64,
    overflows: u64,
    entries: u64,
    root: u64,
}

/// Returns the meta page that LMDB will use. Transaction n writes page n modulo 2, so the two
/// differ by one; where they don't, LMDB would choose by a number that is not what was written.
fn newest_meta(file: &dyn ReadAt) -> Result<Meta, CheckError> {
    let first = meta_at(file, 0, 0)?;
    let second = meta_at(file, 1, first.page_bytes as u64)?;
    let damaged = |reason| Err(CheckError::Damaged { page: 0, reason });
    if first.page_bytes != second.page_bytes {
        return damaged("the two meta pages have different page sizes");
    }
    let is_new = first.txn == 0 && second.txn == 0;
    let alternate = first.txn.is_multiple_of(2) && first.txn.abs_diff(second.txn) == 1;
    if !is_new && !alternate {
        return damaged("the two meta pages do not follow one another");
    }
    Ok(if second.txn > first.txn { second } else { first })
}

fn meta_at(file: &dyn ReadAt, number: u64, offset: u64) -> Result<Meta, CheckError> {
    let mut page = [0; META_BYTES];
    if file.read_at(&mut page, offset)? < META_BYTES {
        return Err(CheckError::Truncated { page: number });
    }
    let damaged = |reason| CheckError::Damaged { page: number, reason };
    if u32_at(&page, 16) != MAGIC {
        let magics = [MAGIC.to_le_bytes(), MAGIC.to_be_bytes()];
        let is_other = page[12..20].windows(4).any(|bytes| magics.iter().any(|m| m == bytes));
        return Err(match (number, is_other) {
            (0, true) => CheckError::Architecture,
            (0, false) => CheckError::Foreign,
            _ => damaged("the meta page has no magic number"),
        });
    }
    match u32_at(&page, 20) {
        VERSION => {}
        found => return Err(CheckError::Version { found }),
    }
    let meta = Meta {
        page_bytes: u32_at(&page, 40) as usize,
        map_bytes: u64_at(&page, 32),
        free: tree_at(&page[40..88]),
        main: tree_at(&page[88..136]),
        last_page: u64_at(&page, 136),
        txn: u64_at(&page, 144),
    };
    let is_page_size =
        meta.page_bytes.is_power_of_two() && (256..=1 << 15).contains(&meta.page_bytes);
    if u64_at(&page, 0) != number || u16_at(&page, 10) != META {
        return Err(damaged("it is not the meta page that belongs there"));
    }
    if !is_page_size || u64_at(&page, 24) != 0 || u32_at(&page, 88) != 0 {
        return Err(damaged("the meta page has an impossible page size or address"));
    }
    let pages = meta.map_bytes / meta.page_bytes as u64;
    if meta.map_bytes > MAP_BYTES_MAX || meta.last_page >= pages || meta.last_page < 1 {
        return Err(damaged("the meta page has an impossible map size"));
    }
    if meta.free.flags != INTEGER_KEYS || meta.main.flags != 0 {
        return Err(damaged("the meta page has unknown flags"));
    }
    Ok(meta)
}

fn tree_at(bytes: &[u8]) -> Tree {
    Tree {
        flags: u16_at(bytes, 4),
        depth: u16_at(bytes, 6),
        branches: u64_at(bytes, 8),
        leaves: u64_at(bytes, 16),
        overflows: u64_at(bytes, 24),
        entries: u64_at(bytes, 32),
        root: u64_at(bytes, 40),
    }
}

/// Appends the pages of one entry of the free list: a count and as many numbers.
fn free_pages(value: &[u8], out: &mut Vec<u64>) {
    let mut numbers = value.chunks_exact(8).map(|bytes| u64_at(bytes, 0));
    let count = numbers.next().unwrap_or(0);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > value.len() / 8 {
        // Refused when it is claimed.
        out.push(NONE);
    }
    out.extend(numbers.take(count));
}

type Visit<'v> = &'v mut dyn FnMut(&[u8], &[u8]) -> Result<(), CheckError>;

/// A walk over all pages.
struct Walk<'a> {
    file: &'a dyn ReadAt,
    page_bytes: usize,
    last_page: u64,
    /// One bit for each page of the file that has been seen.
    used: Vec<u64>,
    spare: Vec<Vec<u8>>,
    big: Vec<u8>,
}

/// Keys from `low` on and below `high` belong under a page.
#[derive(Clone, Copy)]
struct Bounds<'a> {
    low: Option<&'a [u8]>,
    high: Option<&'a [u8]>,
}

/// What was found under a tree's root.
#[derive(Default)]
struct Found {
    branches: u64,
    leaves: u64,
    overflows: u64,
    entries: u64,
}

impl Walk<'_> {
    fn tree(&mut self, tree: &Tree, visit: Visit<'_>) -> Result<(), CheckError> {
        let mut found = Found::default();
        if tree.root == NONE {
            let is_empty = (tree.depth, tree.entries) == (0, 0);
            return is_empty.then_some(()).ok_or(CheckError::Damaged {
                page: 0,
                reason: "a tree without a root has entries",
            });
        }
        if tree.depth == 0 || tree.depth > DEPTH_MAX {
            return Err(CheckError::Damaged { page: 0, reason: "a tree has an impossible depth" });
        }
        let order = if tree.flags == INTEGER_KEYS { by_number } else { by_bytes };
        let bounds = Bounds { low: None, high: None };
        self.page(tree.root, tree.depth, bounds, order, &mut found, visit)?;
        let Found { branches, leaves, overflows, entries } = found;
        let counts = (tree.branches, tree.leaves, tree.overflows, tree.entries);
        if (branches, leaves, overflows, entries) != counts {
            let reason = "a tree does not hold what its root says";
            return Err(CheckError::Damaged { page: tree.root, reason });
        }
        Ok(())
    }

    /// Reads the page `number`, which is `height` levels above nothing, and all under it.
    fn page(
        &mut self,
        number: u64,
        height: u16,
        bounds: Bounds<'_>,
        order: Order,
        found: &mut Found,
        visit: Visit<'_>,
    ) -> Result<(), CheckError> {
        self.claim(number, false)?;
        let mut page = self.spare.pop().unwrap_or_default();
        page.resize(self.page_bytes, 0);
        if self.file.read_at(&mut page, number * self.page_bytes as u64)? < self.page_bytes {
            return Err(CheckError::Truncated { page: number });
        }
        let kind = if height == 1 { LEAF } else { BRANCH };
        if u64_at(&page, 0) != number || u16_at(&page, 10) != kind {
            let reason = "it is not the page that belongs there";
            return Err(CheckError::Damaged { page: number, reason });
        }
        let nodes = Nodes::of(&page, number)?;
        if height == 1 {
            found.leaves += 1;
            self.leaf(&nodes, bounds, order, found, visit)?;
        } else {
            found.branches += 1;
            self.branch(&nodes, height, bounds, order, found, visit)?;
        }
        self.spare.push(page);
        Ok(())
    }

    fn branch(
        &mut self,
        nodes: &Nodes<'_>,
        height: u16,
        bounds: Bounds<'_>,
        order: Order,
        found: &mut Found,
        visit: Visit<'_>,
    ) -> Result<(), CheckError> {
        if nodes.count < 2 {
            return Err(nodes.damaged("a branch has fewer than two children"));
        }
        let mut used = 0;
        let mut low = bounds.low;
        let mut node = nodes.branch(0)?;
        for index in 0..nodes.count {
            used += even(NODE_HEADER + node.key.len());
            let next = if index + 1 < nodes.count { Some(nodes.branch(index + 1)?) } else { None };
            let high = next.map(|next| next.key);
            if let Some(high) = high
                && !(low.is_none_or(|low| order(low, high) == Ordering::Less)
                    && bounds.high.is_none_or(|most| order(high, most) == Ordering::Less))
            {
                return Err(nodes.damaged("its children are out of order"));
            }
            let below = Bounds { low, high: high.or(bounds.high) };
            self.page(node.child, height - 1, below, order, found, visit)?;
            if let Some(next) = next {
                (node, low) = (next, high);
            }
        }
        nodes.verify_used(used)
    }

    fn leaf(
        &mut self,
        nodes: &Nodes<'_>,
        bounds: Bounds<'_>,
        order: Order,
        found: &mut Found,
        visit: Visit<'_>,
    ) -> Result<(), CheckError> {
        if nodes.count == 0 {
            return Err(nodes.damaged("it has no entries"));
        }
        let mut used = 0;
        let mut before: Option<&[u8]> = None;
        for index in 0..nodes.count {
            let LeafNode { key, value, big } = nodes.leaf(index)?;
            used += even(NODE_HEADER + key.len() + value.len());
            let rises = match before {
                Some(before) => order(before, key) == Ordering::Less,
                None => bounds.low.is_none_or(|low| order(low, key) != Ordering::Greater),
            };
            if !rises {
                return Err(nodes.damaged("its keys are out of order"));
            }
            before = Some(key);
            found.entries += 1;
            match big {
                None => visit(key, value)?,
                Some(bytes) => {
                    let mut big = std::mem::take(&mut self.big);
                    found.overflows += self.overflow(u64_at(value, 0), bytes, &mut big)?;
                    visit(key, &big)?;
                    self.big = big;
                }
            }
        }
        let fits = |high| before.is_none_or(|last| order(last, high) == Ordering::Less);
        if !bounds.high.is_none_or(fits) {
            return Err(nodes.damaged("its keys are out of order"));
        }
        nodes.verify_used(used)
    }

    /// Reads a value that has pages of its own; returns how many.
    fn overflow(
        &mut self,
        number: u64,
        bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<u64, CheckError> {
        let damaged = |reason| CheckError::Damaged { page: number, reason };
        if bytes > VALUE_BYTES_MAX {
            return Err(damaged("a value is impossibly long"));
        }
        let pages = ((PAGE_HEADER + bytes).div_ceil(self.page_bytes)) as u64;
        for page in number..number.saturating_add(pages) {
            self.claim(page, false)?;
        }
        out.resize(PAGE_HEADER + bytes, 0);
        if self.file.read_at(out, number * self.page_bytes as u64)? < out.len() {
            return Err(CheckError::Truncated { page: number });
        }
        let is_right = u64_at(out, 0) == number
            && u16_at(out, 10) == OVERFLOW
            && u64::from(u32_at(out, 12)) == pages;
        if !is_right {
            return Err(damaged("it is not the value that belongs there"));
        }
        out.drain(..PAGE_HEADER);
        Ok(pages)
    }

    /// Takes note that a page is used, or free, and makes sure that it is so only once.
    fn claim(&mut self, page: u64, is_free: bool) -> Result<(), CheckError> {
        if page < 2 || page > self.last_page {
            let reason = "there is no page of that number";
            return Err(CheckError::Damaged { page, reason });
        }
        let (word, bit) = (usize::try_from(page / 64).unwrap_or(usize::MAX), 1 << (page % 64));
        match self.used.get_mut(word) {
            Some(bits) if *bits & bit != 0 => {
                Err(CheckError::Damaged { page, reason: "it is used twice" })
            }
            Some(bits) => {
                *bits |= bit;
                Ok(())
            }
            None if is_free => Ok(()),
            None => Err(CheckError::Truncated { page }),
        }
    }
}

type Order = fn(&[u8], &[u8]) -> Ordering;

fn by_bytes(a: &[u8], b: &[u8]) -> Ordering {
    a.cmp(b)
}

fn by_number(a: &[u8], b: &[u8]) -> Ordering {
    let number = |bytes: &[u8]| if bytes.len() == 8 { u64_at(bytes, 0) } else { 0 };
    number(a).cmp(&number(b))
}

/// The nodes of a page.
struct Nodes<'a> {
    page: &'a [u8],
    number: u64,
    count: usize,
    begin: usize,
}

#[derive(Clone, Copy)]
struct BranchNode<'a> {
    key: &'a [u8],
    child: u64,
}

struct LeafNode<'a> {
    key: &'a [u8],
    /// What stands in the node.
    value: &'a [u8],
    /// The length of the value if it has pages of its own; then the node has their number.
    big: Option<usize>,
}

impl<'a> Nodes<'a> {
    fn of(page: &'a [u8], number: u64) -> Result<Self, CheckError> {
        let (end, begin) = (usize::from(u16_at(page, 12)), usize::from(u16_at(page, 14)));
        let fits =
            PAGE_HEADER <= end && end <= begin && begin <= page.len() && end.is_multiple_of(2);
        let count = end.saturating_sub(PAGE_HEADER) / 2;
        let nodes = Self { page, number, count, begin };
        if fits { Ok(nodes) } else { Err(nodes.damaged("its bounds are impossible")) }
    }

    /// Returns the header and what follows of a node.
    fn node(&self, index: usize) -> Result<&'a [u8], CheckError> {
        let at = usize::from(u16_at(self.page, PAGE_HEADER + 2 * index));
        let is_inside = at >= self.begin && at + NODE_HEADER <= self.page.len();
        let node = self.page.get(at..).filter(|_| is_inside && at.is_multiple_of(2));
        node.ok_or_else(|| self.damaged("an entry stands outside of it"))
    }

    fn key(&self, node: &'a [u8]) -> Result<&'a [u8], CheckError> {
        let bytes = usize::from(u16_at(node, 6));
        node.get(NODE_HEADER..NODE_HEADER + bytes)
            .filter(|key| key.len() <= KEY_BYTES_MAX)
            .ok_or_else(|| self.damaged("a key stands outside of it"))
    }

    fn branch(&self, index: usize) -> Result<BranchNode<'a>, CheckError> {
        let node = self.node(index)?;
        let child = u64::from(u32_at(node, 0)) | u64::from(u16_at(node, 4)) << 32;
        Ok(BranchNode { key: self.key(node)?, child })
    }

    fn leaf(&self, index: usize) -> Result<LeafNode<'a>, CheckError> {
        let node = self.node(index)?;
        let (key, bytes) = (self.key(node)?, u32_at(node, 0) as usize);
        let (inline, big) = match u16_at(node, 4) {
            0 => (bytes, None),
            NODE_BIG => (8, Some(bytes)),
            _ => return Err(self.damaged("an entry is of an unknown kind")),
        };
        let start = NODE_HEADER + key.len();
        let value = node.get(start..start + inline);
        let value = value.ok_or_else(|| self.damaged("a value stands outside of it"))?;
        Ok(LeafNode { key, value, big })
    }

    /// Nodes fill a page from its end without gaps; if they overlapped, some room would be left.
    fn verify_used(&self, bytes: usize) -> Result<(), CheckError> {
        if bytes == self.page.len() - self.begin {
            return Ok(());
        }
        Err(self.damaged("its entries overlap or leave gaps"))
    }

    fn damaged(&self, reason: &'static str) -> CheckError {
        CheckError::Damaged { page: self.number, reason }
    }
}

/// A node begins at an even offset.
fn even(bytes: usize) -> usize {
    bytes.next_multiple_of(2)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests;
