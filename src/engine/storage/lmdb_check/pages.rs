//! Where pages lie in the file, and which of them have been met.

use crate::storage::dir::ReadAt;

use super::CheckError;

/// The first page that is no meta page.
const FIRST_PAGE: u64 = 2;

/// The pages of a file.
pub(super) struct Pages<'a, F: ?Sized> {
    file: &'a F,
    bytes: u64,
    page_bytes: u32,
    last: u64,
}

impl<'a, F: ReadAt + ?Sized> Pages<'a, F> {
    /// Returns the pages of a file of that many bytes, of which `last` is the last.
    pub(super) fn new(file: &'a F, bytes: u64, page_bytes: u32, last: u64) -> Self {
        Self { file, bytes, page_bytes, last }
    }

    /// Returns the length of a page.
    pub(super) fn page_bytes(&self) -> usize {
        self.page_bytes as usize
    }

    /// Returns where a page ends in the file.
    pub(super) fn end_of(&self, number: u64) -> u64 {
        number.saturating_add(1).saturating_mul(u64::from(self.page_bytes))
    }

    /// Reads a run of pages.
    pub(super) fn read(
        &self,
        first: u64,
        count: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), CheckError> {
        let end = self.verify_end(first, count as u64)?;
        out.resize(count * self.page_bytes(), 0);
        let offset = end - out.len() as u64;
        let read = self.file.read_at(out, offset)?;
        if read < out.len() {
            return Err(CheckError::Truncated { bytes: offset + read as u64, expected: end });
        }
        Ok(())
    }

    /// Returns where a run of pages that are in use ends, once it is certain that the file does
    /// not end before.
    pub(super) fn verify_end(&self, first: u64, count: u64) -> Result<u64, CheckError> {
        let last = first.saturating_add(count - 1);
        if first < FIRST_PAGE || last > self.last {
            return Err(CheckError::Damaged { page: first, reason: "it is out of range" });
        }
        let end = self.end_of(last);
        if end > self.bytes {
            return Err(CheckError::Truncated { bytes: self.bytes, expected: end });
        }
        Ok(end)
    }
}

/// Which pages are in use or free, one bit for each.
pub(super) struct Claims {
    bits: Vec<u64>,
    last: u64,
}

impl Claims {
    /// Returns the claims on a file's pages: so far none but those of the meta pages.
    pub(super) fn new(pages: &Pages<impl ReadAt + ?Sized>) -> Result<Self, CheckError> {
        // A page has its room in the file, or eight bytes in a list of free pages. So the file
        // bounds how many bits are needed.
        let page_bytes = u64::from(pages.page_bytes);
        let pages_max = pages.bytes / page_bytes + pages.bytes / 8;
        let words = usize::try_from(pages.last / 64 + 1).ok().filter(|_| pages.last < pages_max);
        let words = words.ok_or_else(|| CheckError::Truncated {
            bytes: pages.bytes,
            expected: pages.end_of(pages.last) / (page_bytes + 8) * 8,
        })?;
        let mut bits = vec![0; words];
        bits[0] = (1 << FIRST_PAGE) - 1;
        Ok(Self { bits, last: pages.last })
    }

    /// Takes a page, and returns whether it was there to take.
    pub(super) fn claim(&mut self, number: u64) -> bool {
        let bit = 1_u64 << (number % 64);
        let word = usize::try_from(number / 64).ok().and_then(|at| self.bits.get_mut(at));
        match word {
            Some(word) if number <= self.last && *word & bit == 0 => {
                *word |= bit;
                true
            }
            _ => false,
        }
    }

    /// Returns how many pages nobody took, and the last of them, 0 if there is none.
    pub(super) fn unclaimed(&self) -> (u64, u64) {
        let mut count = 0;
        let mut last = 0;
        for (word, first) in self.bits.iter().zip((0..).step_by(64)) {
            let in_range = u64::MAX >> (63 - (self.last - first).min(63));
            let free = !word & in_range;
            if free != 0 {
                count += u64::from(free.count_ones());
                last = first + u64::from(free.ilog2());
            }
        }
        (count, last)
    }
}
