//! How what a person wants is spread over slots and loads.

use engine::config::Scenario;
use engine::config::scenario::LoadModel;

/// Returns how many seats a worker slot has: all have the same number as far as the scenario's
/// seats allow, and workers added live have it too.
pub(crate) fn seats_of(scenario: &Scenario, slot: u16) -> u32 {
    let workers = u32::from(scenario.office.workers);
    let (each, rest) = (scenario.office.seats / workers, scenario.office.seats % workers);
    each + u32::from(u32::from(slot) < rest)
}

/// Returns how many users each load should have for `users` in all: closed loads share them in
/// the proportion of the scenario; open loads keep theirs unless there are only open ones.
pub(crate) fn spread_users(scenario: &Scenario, now: &[u32], users: u32) -> Vec<u32> {
    let is_closed = |index: usize| matches!(scenario.loads[index].model, LoadModel::Closed { .. });
    let any_closed = (0..now.len()).any(is_closed);
    let steered: Vec<usize> = (0..now.len()).filter(|&i| !any_closed || is_closed(i)).collect();
    let fixed: u32 = (0..now.len()).filter(|i| !steered.contains(i)).map(|i| now[i]).sum();
    let weight = |i: usize| u64::from(scenario.loads[i].users.max(1));
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
        let scenario = scenario("[office]\nworkers = 3\nseats = 8");
        let seats: Vec<u32> = (0..5).map(|slot| seats_of(&scenario, slot)).collect();
        assert_eq!(seats, [3, 3, 2, 2, 2]);
    }

    #[test]
    fn people_steer_closed_loads_in_proportion() {
        let scenario = scenario(
            "[load.a]\nusers = 30\n[load.b]\nmodel = open\nrate = det 5/s\nusers = 4\n\
             [load.c]\nusers = 10",
        );
        let check = |users, wanted: [u32; 3]| {
            assert_eq!(spread_users(&scenario, &[30, 4, 10], users), wanted, "{users}");
        };
        check(44, [30, 4, 10]);
        check(84, [60, 4, 20]);
        check(5, [1, 4, 0]);
        check(2, [0, 4, 0]);
    }

    #[test]
    fn where_all_loads_are_open_they_are_steered() {
        let text = "[load.a]\nmodel = open\nrate = det 5/s\nusers = 2";
        assert_eq!(spread_users(&scenario(text), &[2], 7), [7]);
    }
}
