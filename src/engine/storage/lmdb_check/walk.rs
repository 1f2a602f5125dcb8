//! The walk through one tree, in the order of its keys.
//!
//! Separators are verified on the way: each is greater than all keys before it and not greater
//! than those behind it, and keys ascend from page to page. So every key lies within the bounds
//! that all branches above it set, and a search finds it.

use crate::limits::LMDB_RUN_PAGES;
use crate::storage::dir::ReadAt;

use super::CheckError;
use super::meta::Tree;
use super::page::{HEADER_BYTES, Page, PageKind, Shape, overflow_pages};
use super::pages::{Claims, Pages};

/// The longest key.
const KEY_BYTES_MAX: usize = 511;

/// Which of the two trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TreeKind {
    /// The tree of free pages: its keys are transactions.
    Free,
    /// The tree of entries: its keys are compared as bytes.
    Main,
}

impl TreeKind {
    /// Returns what its pages must be. LMDB tolerates branches with one child in the tree of free
    /// pages, and aborts on them in the other.
    pub(super) fn shape(self, kind: PageKind) -> Shape {
        let nodes_min = match (self, kind) {
            (Self::Main, PageKind::Branch) => 2,
            _ => 1,
        };
        let key_bytes = match self {
            Self::Free => 8..=8,
            Self::Main => 1..=KEY_BYTES_MAX,
        };
        Shape { kind, nodes_min, key_bytes }
    }

    fn is_less(self, a: &[u8], b: &[u8]) -> bool {
        match self {
            Self::Free => txn_of(a) < txn_of(b),
            Self::Main => a < b,
        }
    }
}

/// Returns the transaction that a key of the tree of free pages stands for, 0 if it is none.
pub(super) fn txn_of(key: &[u8]) -> u64 {
    key.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

/// The last key or separator that was met.
#[derive(Default)]
struct Floor {
    /// Empty before the first.
    bytes: Vec<u8>,
    is_separator: bool,
}

impl Floor {
    fn set(&mut self, bytes: &[u8], is_separator: bool) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.is_separator = is_separator;
    }
}

/// One walk through a tree.
pub(super) struct Tour<'a, F: ?Sized, V> {
    kind: TreeKind,
    pages: &'a Pages<'a, F>,
    claims: &'a mut Claims,
    visit: V,
    depth: usize,
    met: Tree,
    floor: Floor,
    /// What was read of each level, by its distance from the root.
    levels: Vec<Vec<u8>>,
    /// An overflow page's header and the value behind it.
    value: Vec<u8>,
}

/// Where the roots of neighbouring subtrees stand: behind one another in the file.
struct Run<'a> {
    level: usize,
    first: u64,
    count: usize,
    /// The branch that leads there, its number, and which of its nodes does for the first.
    parent: Option<(&'a Page<'a>, u64, usize)>,
}

impl<'a, F, V> Tour<'a, F, V>
where
    F: ReadAt + ?Sized,
    V: FnMut(&mut Claims, &[u8], &[u8]) -> Result<(), &'static str>,
{
    /// Prepares a walk that calls `visit` with each key and value.
    pub(super) fn new(
        kind: TreeKind,
        pages: &'a Pages<'a, F>,
        claims: &'a mut Claims,
        visit: V,
    ) -> Self {
        Self {
            kind,
            pages,
            claims,
            visit,
            depth: 0,
            met: Tree::EMPTY,
            floor: Floor::default(),
            levels: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Walks through a whole tree, takes all its pages, and returns whether it met what the tree
    /// says of itself.
    pub(super) fn walk(&mut self, tree: &Tree) -> Result<bool, CheckError> {
        self.depth = usize::from(tree.depth);
        self.levels = vec![Vec::new(); self.depth];
        self.met = Tree { flags: tree.flags, depth: tree.depth, root: tree.root, ..Tree::EMPTY };
        if !tree.is_empty() {
            self.run(&Run { level: 0, first: tree.root, count: 1, parent: None })?;
        }
        Ok(self.met == *tree)
    }

    fn run(&mut self, run: &Run<'_>) -> Result<(), CheckError> {
        let mut buf = std::mem::take(&mut self.levels[run.level]);
        self.pages.read(run.first, run.count, &mut buf)?;
        for (index, bytes) in buf.chunks_exact(self.pages.page_bytes()).enumerate() {
            if let Some((parent, number, first)) = run.parent {
                let separator = parent.node(first + index).key;
                self.separator(separator).map_err(CheckError::damaged(number))?;
            }
            let number = run.first + index as u64;
            let damaged = CheckError::damaged(number);
            if !self.claims.claim(number) {
                return Err(damaged("it is in use twice, or free and in use"));
            }
            let is_leaf = run.level + 1 == self.depth;
            let kind = if is_leaf { PageKind::Leaf } else { PageKind::Branch };
            let shape = self.kind.shape(kind);
            let page = Page::verify(bytes, number, &shape).map_err(damaged)?;
            match kind {
                PageKind::Branch => self.branch(number, &page, run.level)?,
                PageKind::Leaf => self.leaf(number, &page)?,
            }
        }
        self.levels[run.level] = buf;
        Ok(())
    }

    fn branch(&mut self, number: u64, page: &Page<'_>, level: usize) -> Result<(), CheckError> {
        self.met.branch_pages += 1;
        let mut at = 0;
        while at < page.count() {
            let (first, count) = page.run(at, LMDB_RUN_PAGES);
            let parent = Some((page, number, at));
            self.run(&Run { level: level + 1, first, count, parent })?;
            at += count;
        }
        Ok(())
    }

    /// Verifies that a separator is greater than all keys before it. The first child of a branch
    /// has none.
    fn separator(&mut self, separator: &[u8]) -> Result<(), &'static str> {
        if separator.is_empty() {
            return Ok(());
        }
        if !self.kind.is_less(&self.floor.bytes, separator) {
            return Err("its keys don't part those of its children");
        }
        self.floor.set(separator, true);
        Ok(())
    }

    fn leaf(&mut self, number: u64, page: &Page<'_>) -> Result<(), CheckError> {
        let damaged = CheckError::damaged(number);
        self.met.leaf_pages += 1;
        self.met.entries += page.count() as u64;
        let first = page.node(0).key;
        let is_on_floor = self.floor.is_separator && self.floor.bytes == first;
        if !is_on_floor && !self.kind.is_less(&self.floor.bytes, first) {
            return Err(damaged("its keys lie outside of the bounds that its branch sets"));
        }
        let mut last: &[u8] = &[];
        for index in 0..page.count() {
            let node = page.node(index);
            if index > 0 && !self.kind.is_less(last, node.key) {
                return Err(damaged("its keys don't ascend"));
            }
            last = node.key;
            let mut value = node.data;
            if let Some((first, value_bytes)) = node.overflow() {
                self.overflow(first, value_bytes)?;
                value = &self.value[HEADER_BYTES..];
            }
            (self.visit)(self.claims, node.key, value).map_err(&damaged)?;
        }
        self.floor.set(last, false);
        Ok(())
    }

    /// Reads a value that lies on pages of its own, behind the first one's header. The pages may
    /// be more than it needs: a shorter value may have taken a longer one's place.
    fn overflow(&mut self, first: u64, value_bytes: usize) -> Result<(), CheckError> {
        let damaged = CheckError::damaged(first);
        self.pages.read(first, 1, &mut self.value)?;
        let count = overflow_pages(&self.value, first).map_err(&damaged)?;
        let bytes = value_bytes.saturating_add(HEADER_BYTES);
        let needed = bytes.div_ceil(self.pages.page_bytes());
        if (needed as u64) > count {
            return Err(damaged("a value is longer than its pages"));
        }
        self.met.overflow_pages += count;
        if !(first..first.saturating_add(count)).all(|number| self.claims.claim(number)) {
            return Err(damaged("its pages are in use twice, free, or out of range"));
        }
        if needed > 1 {
            self.pages.read(first, needed, &mut self.value)?;
        }
        self.pages.verify_end(first, count)?;
        self.value.truncate(bytes);
        Ok(())
    }
}
