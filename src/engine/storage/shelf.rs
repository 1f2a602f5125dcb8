//! The segments of an open log, found by position, to read single records from.

use std::sync::Arc;

use super::LogError;
use super::dir::ReadAt;
use super::format::RecordRef;
use super::index::{Key, Place};
use super::recovery::read_record;
use super::segment::{Files, Listed, segment_name};
use super::{IoOp, segment::Form};
use crate::ids::Lsn;

/// Files that are open at a time.
const OPEN_MAX: usize = 128;

/// Opens segments as they are needed.
pub(super) struct Shelf {
    files: Files,
    /// In order.
    books: Vec<Book>,
    open: usize,
    buf: Vec<u8>,
}

struct Book {
    first: Lsn,
    /// Nobody writes it any more.
    is_sealed: bool,
    file: Option<Arc<dyn ReadAt>>,
}

impl Shelf {
    /// Returns a shelf of segments, of which the last is written.
    pub(super) fn new(files: Files, segments: &[Listed]) -> Self {
        let book = |(at, segment): (usize, &Listed)| Book {
            first: segment.first,
            is_sealed: at + 1 < segments.len(),
            file: None,
        };
        let books = segments.iter().enumerate().map(book).collect();
        Self { files, books, open: 0, buf: Vec::new() }
    }

    /// Returns where the first segment begins.
    pub(super) fn first(&self) -> Lsn {
        self.books.first().map_or(Lsn(0), |book| book.first)
    }

    /// Returns a shelf of segments of which none is trusted to be whole.
    pub(super) fn of_unread(files: Files, segments: &[Listed]) -> Self {
        let mut shelf = Self::new(files, segments);
        shelf.books.iter_mut().for_each(|book| book.is_sealed = false);
        shelf
    }

    /// Adds a segment behind all others.
    pub(super) fn push(&mut self, first: Lsn, file: Arc<dyn ReadAt>) {
        self.open += 1;
        self.books.push(Book { first, is_sealed: false, file: Some(file) });
    }

    /// Takes note that a segment is sealed, or was replaced by its packed form.
    pub(super) fn sealed(&mut self, first: Lsn) {
        if let Ok(at) = self.books.binary_search_by_key(&first, |book| book.first) {
            let book = &mut self.books[at];
            book.is_sealed = true;
            self.open -= usize::from(book.file.take().is_some());
        }
    }

    /// Forgets the segments that begin before a position.
    pub(super) fn retire(&mut self, first: Lsn) {
        self.books.retain(|book| book.first >= first);
        self.open = self.books.iter().filter(|book| book.file.is_some()).count();
    }

    /// Reads the record of a key and makes sure that it is that.
    pub(super) fn read(&mut self, key: &Key, place: Place) -> Result<RecordRef<'_>, LogError> {
        let behind = self.books.partition_point(|book| book.first <= place.lsn);
        let Some(at) = behind.checked_sub(1) else {
            let path = self.files.path("");
            return Err(LogError::Damaged {
                path,
                offset: place.lsn.0,
                reason: "no segment there",
            });
        };
        let first = self.books[at].first;
        let name = || segment_name(first);
        if self.books[at].file.is_none() {
            self.close_some();
            let file = if self.books[at].is_sealed {
                self.files.open_sealed(first)?
            } else {
                self.files.open(&Listed { first, form: Form::Named })?
            };
            self.books[at].file = Some(file);
            self.open += 1;
        }
        let file = self.books[at].file.as_ref().expect("it was opened above");
        let offset = place.lsn.0 - first.0;
        let len = place.len as usize;
        match read_record(&**file, &mut self.buf, offset, (place.lsn, len)) {
            Err(error) => Err(self.files.failed(IoOp::Read, &name())(error)),
            Ok(Some(record)) if record.key == key => Ok(record),
            Ok(_) => {
                let reason = "the record that the index names is not there";
                Err(LogError::Damaged { path: self.files.path(&name()), offset, reason })
            }
        }
    }

    /// Closes all files when too many are open.
    fn close_some(&mut self) {
        if self.open >= OPEN_MAX {
            for book in &mut self.books {
                book.file = None;
            }
            self.open = 0;
        }
    }
}
