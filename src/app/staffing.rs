//! How what a person wants is spread over slots and loads.

use engine::config::Scenario;
use engine::config::scenario::{LoadModel, Office};

/// How seats are spread over worker slots: all have the same number as far as the seats allow, and
/// workers added live have it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seating {
    workers: u16,
    seats: u32,
}

impl Seating {
    /// Returns how a scenario spreads its seats over its workers.
    pub(crate) fn of(office: &Office) -> Self {
        Self { workers: office.workers.max(1), seats: office.seats }
    }

    /// Returns how many seats a worker slot has.
    pub(crate) fn at(self, slot: u16) -> u32 {
        let workers = u32::from(self.workers);
        let (each, rest) = (self.seats / workers, self.seats % workers);
        each + u32::from(u32::from(slot) < rest)
    }

    /// Returns how many seats so many workers have together.
    pub(crate) fn total(self, workers: u16) -> u32 {
        let each = self.seats / u32::from(self.workers);
        let rest = (self.seats % u32::from(self.workers)).min(workers.into());
        u32::from(workers) * each + rest
    }
}

/// Returns how many users each load should have for `users` in all: closed loads share them in
/// the proportion of `weights`; open loads keep theirs unless there are only open ones.
pub(crate) fn spread_users(
    scenario: &Scenario,
    weights: &[u32],
    now: &[u32],
    users: u32,
) -> Vec<u32> {
    let is_closed = |index: usize| matches!(scenario.loads[index].model, LoadModel::Closed { .. });
    let any_closed = (0..now.len()).any(is_closed);
    let steered: Vec<usize> = (0..now.len()).filter(|&i| !any_closed || is_closed(i)).collect();
    let fixed: u32 = (0..now.len()).filter(|i| !steered.contains(i)).map(|i| now[i]).sum();
    let weight = |i: usize| u64::from(weights[i].max(1));
    let mut left = u64::from(users.saturating_sub(fixed));
    let mut weights: u64 = steered.iter().map(|&i| weight(i)).sum();
    let mut wanted = now.to_vec();
    for index in steered {
        let share = (left * weight(index)).div_ceil(weights.max(1)).min(left);
        wanted[index] = u32::try_from(share).unwrap_or(u32::MAX);
        left -= share;
        weights -= weight(index);
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(text: &str) -> Scenario {
        engine::config::parse_effective(text).unwrap()
    }

    #[test]
    fn seats_are_spread_evenly_and_new_workers_have_some() {
        let seating = Seating::of(&scenario("[office]\nworkers = 3\nseats = 8").office);
        let seats: Vec<u32> = (0..5).map(|slot| seating.at(slot)).collect();
        assert_eq!(seats, [3, 3, 2, 2, 2]);
        let totals: Vec<u32> = (1..6).map(|workers| seating.total(workers)).collect();
        assert_eq!(totals, [3, 6, 8, 10, 12]);
    }

    #[test]
    fn people_steer_closed_loads_in_proportion() {
        let scenario = scenario(
            "[load.a]\nusers = 30\n[load.b]\nmodel = open\nrate = det 5/s\nusers = 4\n\
             [load.c]\nusers = 10",
        );
        let check = |users, wanted: [u32; 3]| {
            assert_eq!(
                spread_users(&scenario, &[30, 4, 10], &[30, 4, 10], users),
                wanted,
                "{users}"
            );
        };
        check(44, [30, 4, 10]);
        check(84, [60, 4, 20]);
        check(5, [1, 4, 0]);
        check(2, [0, 4, 0]);
    }

    #[test]
    fn where_all_loads_are_open_they_are_steered() {
        let text = "[load.a]\nmodel = open\nrate = det 5/s\nusers = 2";
        assert_eq!(spread_users(&scenario(text), &[2], &[2], 7), [7]);
    }
}
