//! Which user process hosts whom.
//!
//! Each user gets a process of its own until the bound is reached; further ones go to the process
//! with the fewest. Nobody ever moves: a user that stays keeps its process, so a resize tells
//! existing processes about their new users before any process is started or retired.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{LoadId, UserId, UserProcessId};

/// Who lives where.
#[derive(Clone, Debug)]
pub struct Planner {
    max_processes: u16,
    /// By load: the process of each user, by index.
    homes: Vec<Vec<u16>>,
    users: BTreeMap<u16, BTreeSet<UserId>>,
    /// Occupied processes by the number of their users.
    by_size: BTreeSet<(usize, u16)>,
    vacant: BTreeSet<u16>,
    /// Processes from here on were never occupied.
    untouched: u16,
}

/// What a resize changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Processes whose users changed, with all that they host now, sorted.
    pub host: Vec<(UserProcessId, Vec<UserId>)>,
    /// Processes that host nobody any more.
    pub retire: Vec<UserProcessId>,
}

impl Planner {
    /// Returns a planner for at most `max_processes` processes, at least one.
    pub fn new(max_processes: u16) -> Self {
        Self {
            max_processes: max_processes.max(1),
            homes: Vec::new(),
            users: BTreeMap::new(),
            by_size: BTreeSet::new(),
            vacant: BTreeSet::new(),
            untouched: 0,
        }
    }

    /// Makes the population what is wanted: so many users of each load. Loads that are not
    /// mentioned end.
    pub fn plan(&mut self, wanted: &[u32]) -> Changes {
        let mut touched = BTreeSet::new();
        self.homes.resize(self.homes.len().max(wanted.len()), Vec::new());
        let wanted = |load: usize| wanted.get(load).map_or(0, |&users| users as usize);
        // Leaving first makes room for those who come.
        for load in 0..self.homes.len() {
            while self.homes[load].len() > wanted(load) {
                touched.extend(self.remove_last(load));
            }
        }
        for load in 0..self.homes.len() {
            while self.homes[load].len() < wanted(load) {
                touched.insert(self.add(load));
            }
        }
        let mut changes = Changes::default();
        for slot in touched {
            match self.users.get(&slot) {
                Some(users) => {
                    changes.host.push((UserProcessId(slot), users.iter().copied().collect()));
                }
                None => changes.retire.push(UserProcessId(slot)),
            }
        }
        changes
    }

    fn add(&mut self, load: usize) -> u16 {
        let slot = self.choose();
        let user = user_id(load, self.homes[load].len());
        self.homes[load].push(slot);
        let users = self.users.entry(slot).or_default();
        self.by_size.remove(&(users.len(), slot));
        users.insert(user);
        self.by_size.insert((users.len(), slot));
        slot
    }

    fn choose(&mut self) -> u16 {
        if let Some(slot) = self.vacant.pop_first() {
            return slot;
        }
        if self.untouched < self.max_processes {
            self.untouched += 1;
            return self.untouched - 1;
        }
        self.by_size.first().map_or(0, |&(_, slot)| slot)
    }

    fn remove_last(&mut self, load: usize) -> Option<u16> {
        let slot = self.homes[load].pop()?;
        let users = self.users.get_mut(&slot)?;
        self.by_size.remove(&(users.len(), slot));
        users.remove(&user_id(load, self.homes[load].len()));
        if users.is_empty() {
            self.users.remove(&slot);
            self.vacant.insert(slot);
        } else {
            self.by_size.insert((users.len(), slot));
        }
        Some(slot)
    }
}

fn user_id(load: usize, index: usize) -> UserId {
    let load = u8::try_from(load).expect("loads are at most 64");
    let index = u32::try_from(index).expect("users are at most a million");
    UserId::new(LoadId(load), index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Applies plans one after the other and returns who lives where in the end.
    fn live(planner: &mut Planner, plans: &[Vec<u32>]) -> BTreeMap<u16, Vec<UserId>> {
        let mut homes = BTreeMap::new();
        for wanted in plans {
            let changes = planner.plan(wanted);
            for UserProcessId(slot) in changes.retire {
                assert!(homes.remove(&slot).is_some(), "only a living process is retired");
            }
            for (UserProcessId(slot), users) in changes.host {
                homes.insert(slot, users);
            }
        }
        homes
    }

    #[test]
    fn each_user_has_a_process_until_they_must_share() {
        let mut planner = Planner::new(3);
        let homes = live(&mut planner, &[vec![2, 1]]);
        assert!(homes.len() == 3 && homes.values().all(|users| users.len() == 1));
        let homes = live(&mut planner, &[vec![5, 2]]);
        let sizes: Vec<usize> = homes.values().map(Vec::len).collect();
        assert_eq!(sizes, [3, 2, 2]);
    }

    #[test]
    fn shrinking_retires_processes_and_growing_uses_them_again() {
        let mut planner = Planner::new(4);
        let homes = live(&mut planner, &[vec![50], vec![2]]);
        assert_eq!(homes.len(), 2);
        assert_eq!(planner.plan(&[2]), Changes::default(), "nothing to do is nothing done");
        let changes = planner.plan(&[3]);
        assert_eq!(changes.host, [(UserProcessId(2), vec![user_id(0, 2)])]);
    }

    proptest! {
        #[test]
        fn everybody_lives_somewhere_once_and_nobody_moves(
            max in 1u16..12,
            plans in prop::collection::vec(prop::collection::vec(0u32..40, 2), 1..8),
        ) {
            let mut planner = Planner::new(max);
            let mut before: BTreeMap<UserId, u16> = BTreeMap::new();
            let mut homes = BTreeMap::new();
            for wanted in &plans {
                let changes = planner.plan(wanted);
                for UserProcessId(slot) in &changes.retire {
                    homes.remove(slot);
                }
                for (UserProcessId(slot), users) in changes.host {
                    prop_assert!(slot < max && users.is_sorted());
                    homes.insert(slot, users);
                }
                let mut now = BTreeMap::new();
                for (slot, users) in &homes {
                    prop_assert!(!users.is_empty());
                    for user in users {
                        prop_assert_eq!(now.insert(*user, *slot), None, "lives in two places");
                    }
                }
                let total: u32 = wanted.iter().sum();
                prop_assert_eq!(now.len(), total as usize);
                for (load, &users) in wanted.iter().enumerate() {
                    for index in 0..users {
                        prop_assert!(now.contains_key(&user_id(load, index as usize)));
                    }
                }
                for (user, slot) in &before {
                    prop_assert!(now.get(user).is_none_or(|home| home == slot), "moved");
                }
                before = now;
            }
        }
    }
}
