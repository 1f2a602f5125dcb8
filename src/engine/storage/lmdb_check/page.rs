//! One branch or leaf page: the layout is verified once, then nodes are read from it.

use std::ops::RangeInclusive;

/// The length of a page's header.
pub(super) const HEADER_BYTES: usize = 16;
/// The length of a node without key and value.
const NODE_BYTES: usize = 8;
/// The length of the number of an overflow page in a node.
const NUMBER_BYTES: usize = 8;
/// The longest page: what 16 bits can point into.
const PAGE_BYTES_MAX: usize = 1 << 15;

const FLAG_BRANCH: u16 = 1;
const FLAG_LEAF: u16 = 2;
const FLAG_OVERFLOW: u16 = 4;
/// A node's value lies on overflow pages.
const NODE_BIG: u16 = 1;
/// A node's value is a database of its own, or a page of duplicates.
const NODE_NESTED: u16 = 2 | 4;

/// The two kinds of a tree's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageKind {
    /// Its nodes lead to other pages.
    Branch,
    /// Its nodes are entries.
    Leaf,
}

/// What a page must be at its place.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Its kind.
    pub(super) kind: PageKind,
    /// How many nodes it has at least.
    pub(super) nodes_min: usize,
    /// How long its keys are.
    pub(super) key_bytes: RangeInclusive<usize>,
}

/// A page whose layout is sound.
pub(super) struct Page<'a> {
    bytes: &'a [u8],
    count: usize,
}

/// An entry of a [`Page`].
pub(super) struct Node<'a> {
    low: u32,
    flags: u16,
    /// The key; empty in the first node of a branch.
    pub(super) key: &'a [u8],
    /// What follows the key: a leaf's value, or the number of its first overflow page.
    pub(super) data: &'a [u8],
}

impl Node<'_> {
    /// Returns the page that a branch's node leads to.
    pub(super) fn child(&self) -> u64 {
        u64::from(self.flags) << 32 | u64::from(self.low)
    }

    /// Returns the first overflow page and the length of a value that lies there.
    pub(super) fn overflow(&self) -> Option<(u64, usize)> {
        (self.flags == NODE_BIG).then(|| (u64_at(self.data, 0), self.low as usize))
    }
}

impl<'a> Page<'a> {
    /// Verifies that a page is the one with this number, that it has this shape, and that its
    /// nodes fill it from where they begin to its end. The caller verifies that keys ascend; then
    /// no two nodes begin at the same place.
    pub(super) fn verify(
        bytes: &'a [u8],
        number: u64,
        shape: &Shape,
    ) -> Result<Self, &'static str> {
        if u64_at(bytes, 0) != number {
            return Err("another page stands there");
        }
        let flag = match shape.kind {
            PageKind::Branch => FLAG_BRANCH,
            PageKind::Leaf => FLAG_LEAF,
        };
        if u16_at(bytes, 10) != flag {
            return Err("it is of another kind than its place asks for");
        }
        let lower = usize::from(u16_at(bytes, 12));
        let upper = usize::from(u16_at(bytes, 14));
        if lower < HEADER_BYTES || lower > upper || upper > bytes.len() || (lower | upper) % 2 != 0
        {
            return Err("the bounds of its free room are out of range");
        }
        let page = Self { bytes, count: (lower - HEADER_BYTES) / 2 };
        if page.count < shape.nodes_min {
            return Err("it has too few nodes");
        }
        let mut borders = Borders::new();
        borders.toggle(upper);
        borders.toggle(bytes.len());
        for index in 0..page.count {
            let at = page.offset(index);
            if !at.is_multiple_of(2) || at < upper || at + NODE_BYTES > bytes.len() {
                return Err("a node lies outside of it");
            }
            let end = at + page.node_bytes(at, index, shape)?;
            if end > bytes.len() {
                return Err("a node reaches beyond it");
            }
            borders.toggle(at);
            borders.toggle(end);
        }
        if !borders.are_even() {
            return Err("its nodes overlap or leave gaps");
        }
        Ok(page)
    }

    /// Returns how many nodes it has.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Returns one of its nodes, in the order of the keys.
    ///
    /// # Panics
    /// If it has no such node.
    #[inline]
    pub(super) fn node(&self, index: usize) -> Node<'a> {
        let at = self.offset(index);
        let (low, flags, key_bytes) = self.head(at);
        let key_end = at + NODE_BYTES + key_bytes;
        // A branch has no data; its low bits may be any number.
        let data_bytes = match flags {
            NODE_BIG => NUMBER_BYTES,
            _ => low as usize,
        };
        let data_end = key_end.saturating_add(data_bytes).min(self.bytes.len());
        let key = &self.bytes[at + NODE_BYTES..key_end];
        Node { low, flags, key, data: &self.bytes[key_end..data_end] }
    }

    /// Returns the child of a branch at this place, and how many from there on stand behind one
    /// another in the file, at most `max`.
    pub(super) fn run(&self, index: usize, max: usize) -> (u64, usize) {
        let first = self.node(index).child();
        let follows = |ahead: &usize| self.node(index + ahead).child() == first + *ahead as u64;
        let more = (1..max.min(self.count - index)).take_while(follows).count();
        (first, 1 + more)
    }

    fn offset(&self, index: usize) -> usize {
        usize::from(u16_at(self.bytes, HEADER_BYTES + 2 * index))
    }

    fn head(&self, at: usize) -> (u32, u16, usize) {
        let bytes = &self.bytes[at..at + NODE_BYTES];
        (u32_at(bytes, 0), u16_at(bytes, 4), usize::from(u16_at(bytes, 6)))
    }

    /// Returns the room that a node takes.
    fn node_bytes(&self, at: usize, index: usize, shape: &Shape) -> Result<usize, &'static str> {
        let (low, flags, key_bytes) = self.head(at);
        let is_branch = shape.kind == PageKind::Branch;
        let is_first_of_branch = index == 0 && is_branch;
        if is_first_of_branch && key_bytes != 0 {
            return Err("its first node has a key");
        }
        if !is_first_of_branch && !shape.key_bytes.contains(&key_bytes) {
            return Err("a key has a length that none has");
        }
        let with_key = NODE_BYTES + key_bytes;
        let used = match flags {
            _ if is_branch => with_key,
            0 if low as usize <= node_bytes_max(self.bytes.len()).saturating_sub(with_key) => {
                with_key + low as usize
            }
            0 => return Err("a value is longer than a page holds"),
            NODE_BIG => with_key + NUMBER_BYTES,
            flags if flags & NODE_NESTED != 0 => {
                return Err("it holds a named database or duplicates, which nobody put there");
            }
            _ => return Err("a node has flags that none has"),
        };
        Ok(used.next_multiple_of(2))
    }
}

/// Returns the longest node that LMDB keeps in a page: two of them must fit.
fn node_bytes_max(page_bytes: usize) -> usize {
    (((page_bytes - HEADER_BYTES) / 2) & !1) - 2
}

/// Returns for how many pages an overflow page stands, itself included.
pub(super) fn overflow_pages(header: &[u8], number: u64) -> Result<u64, &'static str> {
    if u64_at(header, 0) != number {
        return Err("another page stands there");
    }
    if u16_at(header, 10) != FLAG_OVERFLOW {
        return Err("it is of another kind than its place asks for");
    }
    Ok(u64::from(u32_at(header, 12)))
}

/// The places in a page where a node begins or ends, each as one bit that is toggled.
///
/// If every place but the first and the last is the end of one node and the begin of another, the
/// nodes are one row without gaps.
struct Borders([u64; PAGE_BYTES_MAX / 128 + 1]);

impl Borders {
    fn new() -> Self {
        Self([0; PAGE_BYTES_MAX / 128 + 1])
    }

    fn toggle(&mut self, at: usize) {
        self.0[at / 128] ^= 1 << (at / 2 % 64);
    }

    fn are_even(&self) -> bool {
        self.0.iter().fold(0, |any, bits| any | bits) == 0
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(array_at(bytes, at))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(array_at(bytes, at))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(array_at(bytes, at))
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}
