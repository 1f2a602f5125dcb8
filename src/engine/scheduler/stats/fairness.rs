//! Jain's index: how evenly something is spread over many.
//!
//! (Σx)² ÷ (n · Σx²): 1 if all have as much, 1/n if one has all (Jain, Chiu & Hawe, DEC-TR-301,
//! 1984). Both sums are kept up to date, so the index of a million users costs nothing to read.

use crate::ids::UserId;

/// Jain's index over values that change one at a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Jain {
    count: u64,
    sum: f64,
    squares: f64,
}

impl Jain {
    /// Replaces a value; `None` was not there before.
    pub fn replace(&mut self, old: Option<f64>, new: f64) {
        match old {
            Some(old) => {
                self.sum -= old;
                self.squares -= old * old;
            }
            None => self.count += 1,
        }
        self.sum += new;
        self.squares += new * new;
    }

    /// Returns the index; `None` if there is nothing to spread.
    #[expect(clippy::cast_precision_loss, reason = "an index for people")]
    pub fn index(&self) -> Option<f64> {
        let is_something = self.count > 0 && self.squares > 0.0;
        is_something.then(|| (self.sum * self.sum / (self.count as f64 * self.squares)).min(1.0))
    }
}

/// The mean wait of each user.
#[derive(Clone, Debug, Default)]
pub struct UserWaits {
    /// Sum of waits in nanoseconds and their number, by load and by index of the user.
    loads: Vec<Vec<(u64, u32)>>,
    jain: Jain,
}

impl UserWaits {
    /// Takes the wait of a user's ticket.
    pub fn record(&mut self, user: UserId, ns: u64) {
        let (load, index) = (usize::from(user.load().0), user.index() as usize);
        if self.loads.len() <= load {
            self.loads.resize_with(load + 1, Vec::new);
        }
        let users = &mut self.loads[load];
        if users.len() <= index {
            users.resize(index + 1, (0, 0));
        }
        let (sum, count) = &mut users[index];
        let before = (*count > 0).then(|| mean(*sum, *count));
        *sum = sum.saturating_add(ns);
        *count = count.saturating_add(1);
        self.jain.replace(before, mean(*sum, *count));
    }

    /// Returns Jain's index over the mean waits of users that had a ticket served.
    pub fn fairness(&self) -> Option<f64> {
        self.jain.index()
    }

    /// Returns the sums and counts, by load and user, to be kept.
    pub fn parts(&self) -> &[Vec<(u64, u32)>] {
        &self.loads
    }

    /// Takes up what [`Self::parts`] gave.
    pub fn from_parts(loads: Vec<Vec<(u64, u32)>>) -> Self {
        let mut jain = Jain::default();
        for &(sum, count) in loads.iter().flatten().filter(|(_, count)| *count > 0) {
            jain.replace(None, mean(sum, count));
        }
        Self { loads, jain }
    }
}

#[expect(clippy::cast_precision_loss, reason = "an index for people")]
fn mean(sum: u64, count: u32) -> f64 {
    sum as f64 / f64::from(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LoadId;

    #[test]
    fn the_index_is_one_for_equals_and_one_nth_for_a_single_winner() {
        let mut jain = Jain::default();
        assert_eq!(jain.index(), None);
        for _ in 0..4 {
            jain.replace(None, 3.0);
        }
        assert!((jain.index().unwrap() - 1.0).abs() < 1e-12);
        for _ in 0..3 {
            jain.replace(Some(3.0), 0.0);
        }
        assert!((jain.index().unwrap() - 0.25).abs() < 1e-12);
    }

    #[test]
    fn users_count_by_their_means_and_not_by_how_often_they_came() {
        let mut waits = UserWaits::default();
        let user = |index| UserId::new(LoadId(1), index);
        for _ in 0..100 {
            waits.record(user(0), 50);
        }
        waits.record(user(7), 50);
        assert!((waits.fairness().unwrap() - 1.0).abs() < 1e-12);
        waits.record(user(7), 250);
        let index = waits.fairness().unwrap();
        assert!((index - 200.0 * 200.0 / (2.0 * (2500.0 + 22500.0))).abs() < 1e-9, "{index}");
        let kept = UserWaits::from_parts(waits.parts().to_vec());
        assert!((kept.fairness().unwrap() - index).abs() < 1e-9);
    }
}
