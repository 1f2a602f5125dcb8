//! Which old segments may go: whole ones, oldest first, and none that is still needed.

use crate::ids::Lsn;

/// A segment behind which another one follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The LSN of its first byte.
    pub first: Lsn,
    /// The LSN behind its last byte.
    pub end: Lsn,
}

/// Returns where the log should begin so that its sealed segments (in order) have `bytes` bytes
/// at most, without letting go of anything from `needed` on; `None` if it can stay as it is.
pub fn first_kept(sealed: &[Sealed], bytes: u64, needed: Lsn) -> Option<Lsn> {
    let last = sealed.last()?.end;
    let may_go = sealed
        .iter()
        .take_while(|segment| segment.end <= needed && last.0 - segment.first.0 > bytes);
    may_go.last().map(|segment| segment.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five segments of 100 bytes.
    fn check(bytes: u64, needed: u64, first: Option<u64>) {
        let sealed: Vec<Sealed> = (0..5)
            .map(|index| Sealed { first: Lsn(index * 100), end: Lsn(index * 100 + 100) })
            .collect();
        assert_eq!(first_kept(&sealed, bytes, Lsn(needed)), first.map(Lsn), "{bytes} {needed}");
    }

    #[test]
    fn the_oldest_go_until_the_rest_fits() {
        check(500, 1000, None);
        check(499, 1000, Some(100));
        check(250, 1000, Some(300));
        check(0, 1000, Some(500));
        assert_eq!(first_kept(&[], 0, Lsn(0)), None);
    }

    #[test]
    fn what_is_needed_stays_with_all_that_follows() {
        check(0, 0, None);
        check(0, 250, Some(200));
        check(0, 200, Some(200));
    }
}
