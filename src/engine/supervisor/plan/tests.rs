//! Fleets of pretended processes.

use proptest::prelude::*;

use super::super::exit::{Ending, Lethal};
use super::*;

const GRACE: Duration = Duration::from_secs(3);
const SEGFAULT: Ending = Ending::Signal(11);

static CORE: Policy = Policy::CORE;
static USER: Policy = Policy::USER;

/// A fleet, its clock, and a system on which every start succeeds.
struct Yard {
    fleet: Fleet,
    now: Time,
    next_pid: i32,
    spawned: Vec<u16>,
    asked: Vec<u16>,
    killed: Vec<Pid>,
}

impl Yard {
    fn new(policy: &'static Policy, pace: Pace) -> Self {
        Self {
            fleet: Fleet::new(policy, pace),
            now: Time::ZERO + Duration::from_secs(100),
            next_pid: 1000,
            spawned: Vec::new(),
            asked: Vec::new(),
            killed: Vec::new(),
        }
    }

    /// A worker pool of `n`, all ready.
    fn pool(n: u16) -> Self {
        let mut yard = Self::new(&CORE, Pace::POOL);
        yard.want(n);
        yard.settle();
        yard
    }

    fn want(&mut self, n: u16) {
        self.fleet.set_wanted(n, GRACE, self.now);
    }

    /// Carries out what the fleet asks for.
    fn act(&mut self) {
        while let Some((slot, effect)) = self.fleet.poll_effect() {
            match effect {
                Effect::Spawn { .. } => {
                    self.next_pid += 1;
                    let pid = Pid::from_raw(self.next_pid);
                    self.spawned.push(slot);
                    self.give(slot, Input::Spawned { pid });
                }
                Effect::Stop => self.asked.push(slot),
                Effect::Signal { pid, signal: Lethal::Kill } => self.killed.push(pid),
                Effect::Signal { .. } | Effect::Report(_) => {}
            }
        }
    }

    fn give(&mut self, slot: u16, input: Input) {
        self.fleet.handle(slot, input, self.now);
    }

    fn turn(&mut self) {
        self.fleet.handle_tick(self.now);
        self.act();
    }

    /// One loop of an owner: sleeps until the deadline if that lies ahead, and turns.
    fn sleep_and_turn(&mut self) {
        let deadline = self.fleet.deadline().expect("something is pending");
        self.now = self.now.max(deadline);
        self.turn();
    }

    fn greet_all(&mut self) {
        let slots: Vec<u16> = self.fleet.pids().values().copied().collect();
        for slot in slots {
            self.give(slot, Input::Hello);
            self.give(slot, Input::Ready);
        }
    }

    /// Turns until every wanted slot is ready.
    fn settle(&mut self) {
        while !self.fleet.is_settled() {
            self.sleep_and_turn();
            self.greet_all();
        }
    }

    fn die(&mut self, slot: u16, ending: Ending) {
        self.give(slot, Input::Exited(ending));
        self.act();
    }

    fn bury_all(&mut self) {
        let slots: Vec<u16> = self.fleet.pids().values().copied().collect();
        for slot in slots {
            self.die(slot, Ending::Code(0));
        }
    }
}

#[test]
fn a_new_fleet_has_nothing_to_do() {
    let fleet = Fleet::new(&CORE, Pace::POOL);
    assert_eq!(fleet.deadline(), None);
    assert!(fleet.is_settled() && fleet.all_stopped());
}

#[test]
fn wanted_slots_are_started_lowest_first_and_at_once() {
    let mut yard = Yard::new(&CORE, Pace::POOL);
    yard.want(4);
    assert!(!yard.fleet.is_settled() && !yard.fleet.all_stopped());
    assert!(yard.fleet.deadline().unwrap() <= yard.now);
    yard.turn();
    assert_eq!(yard.spawned, [0, 1, 2, 3]);
    assert_eq!(yard.fleet.counts().starting, 4);
    yard.greet_all();
    assert_eq!(yard.fleet.counts().ready, 4);
    assert!(yard.fleet.is_settled());
}

#[test]
fn shrinking_stops_the_highest_slots_first_and_settles_when_they_are_gone() {
    let mut yard = Yard::pool(5);
    yard.want(2);
    yard.act();
    assert_eq!(yard.asked, [4, 3, 2]);
    assert!(!yard.fleet.is_settled());
    for slot in [2, 3, 4] {
        yard.die(slot, Ending::Code(0));
    }
    assert!(yard.fleet.is_settled());
    assert_eq!(yard.fleet.pids().len(), 2);
    assert_eq!(yard.fleet.counts().crashes, 0);
}

#[test]
fn specific_slots_can_be_retired() {
    let mut yard = Yard::pool(4);
    let wanted = BTreeSet::from([0, 2, 3, 7]);
    yard.fleet.set_wanted_slots(wanted.clone(), GRACE, yard.now);
    yard.act();
    assert_eq!(yard.asked, [1]);
    yard.die(1, Ending::Code(0));
    yard.settle();
    assert_eq!(yard.spawned, [0, 1, 2, 3, 7]);
    let living: BTreeSet<u16> = yard.fleet.pids().values().copied().collect();
    assert_eq!(living, wanted);
}

#[test]
fn a_slot_that_is_wanted_again_while_it_ends_gets_a_new_process_after_the_old() {
    let mut yard = Yard::pool(2);
    yard.want(1);
    yard.want(2);
    yard.turn();
    assert_eq!(yard.spawned.len(), 2, "the old process still lives");
    yard.die(1, Ending::Code(0));
    yard.turn();
    assert_eq!(yard.spawned, [0, 1, 1]);
}

#[test]
fn a_start_that_is_taken_back_before_its_turn_never_happens() {
    let mut yard = Yard::new(&CORE, Pace::POOL);
    yard.want(3);
    yard.want(1);
    yard.turn();
    assert_eq!(yard.spawned, [0]);
    assert_eq!(yard.fleet.counts().starting, 1);
}

#[test]
fn a_large_fleet_is_started_in_portions_at_the_pace_and_no_faster() {
    let mut yard = Yard::new(&USER, Pace::SLOTS_ONLY);
    let begin = yard.now;
    yard.want(1064);
    let mut most = 0;
    while yard.spawned.len() < 1064 {
        let before = yard.spawned.len();
        yard.sleep_and_turn();
        yard.greet_all();
        most = most.max(yard.spawned.len() - before);
    }
    assert_eq!(most, Pace::SLOTS_ONLY.spawns_per_turn);
    let took = yard.now.since(begin);
    assert_eq!(took, Duration::from_secs(2), "64 at once, then 500 a second");
}

#[test]
fn restarts_keep_to_the_pace_too() {
    let pace = Pace { spawns_per_turn: 4, ..Pace::SLOTS_ONLY };
    let mut yard = Yard::new(&USER, pace);
    yard.want(40);
    yard.settle();
    yard.spawned.clear();
    for slot in 0..40 {
        yard.die(slot, SEGFAULT);
    }
    yard.now = yard.now + Duration::from_secs(1);
    yard.turn();
    assert_eq!(yard.spawned, [0, 1, 2, 3]);
    assert!(yard.fleet.deadline().unwrap() <= yard.now, "there is more to do");
    yard.turn();
    assert_eq!(yard.spawned.len(), 8);
}

#[test]
fn a_hang_is_dealt_with_while_starts_wait_for_their_turn() {
    let pace =
        Pace { spawns_per_turn: 1, spawns_per_second: 1, spawn_burst: 1, ..Pace::SLOTS_ONLY };
    let mut yard = Yard::new(&CORE, pace);
    yard.want(100);
    yard.turn();
    yard.greet_all();
    let hung = *yard.fleet.pids().keys().next().unwrap();
    while yard.killed.is_empty() {
        yard.sleep_and_turn();
    }
    assert_eq!(yard.killed[0], hung);
    assert!(yard.spawned.len() < 10);
}

#[test]
fn a_killed_worker_is_replaced_within_a_second() {
    let mut yard = Yard::pool(4);
    let died = yard.now;
    yard.die(2, Ending::Signal(9));
    yard.settle();
    assert_eq!(yard.spawned, [0, 1, 2, 3, 2]);
    assert!(yard.now.since(died) < Duration::from_secs(1));
    assert_eq!(yard.fleet.counts().restarts, 1);
    assert_eq!(yard.fleet.counts().crashes, 1);
}

#[test]
fn a_pool_that_keeps_dying_is_given_up_before_its_slots_are() {
    let mut yard = Yard::pool(4);
    let limit = Pace::POOL.pool_restarts.unwrap().of(4);
    let mut deaths = 0;
    while yard.fleet.counts().failed == 0 {
        let (_, &slot) = yard.fleet.pids().iter().next().expect("a process lives");
        yard.die(slot, SEGFAULT);
        deaths += 1;
        while yard.fleet.counts().backoff > 0 || !yard.fleet.startable.is_empty() {
            yard.sleep_and_turn();
            yard.greet_all();
        }
    }
    assert_eq!(deaths, limit + 1);
    let most = yard.fleet.children().map(|(_, child)| child.crashes()).max();
    assert!(most <= CORE.restarts_max, "no slot alone was to blame");
    assert!(!yard.fleet.is_settled());
}

#[test]
fn a_retry_brings_failed_slots_back() {
    let mut yard = Yard::pool(2);
    yard.die(1, Ending::Code(7));
    assert_eq!(yard.fleet.counts().failed, 1);
    yard.want(3);
    yard.turn();
    assert_eq!(yard.fleet.counts().failed, 1, "a resize is no retry");
    yard.fleet.retry_failed(yard.now);
    yard.settle();
    assert_eq!(yard.fleet.counts().failed, 0);
    assert_eq!(yard.fleet.counts().ready, 3);
}

#[test]
fn a_slot_that_was_given_up_and_retried_may_die_as_often_as_a_new_one() {
    let mut yard = Yard::new(&CORE, Pace::SLOTS_ONLY);
    yard.want(1);
    let die_until_failed = |yard: &mut Yard| {
        let mut deaths = 0;
        while yard.fleet.counts().failed == 0 {
            yard.settle();
            yard.die(0, SEGFAULT);
            deaths += 1;
        }
        deaths
    };
    assert_eq!(die_until_failed(&mut yard), 6);
    yard.fleet.retry_failed(yard.now);
    assert_eq!(die_until_failed(&mut yard), 6);
}

#[test]
fn a_restart_by_hand_drains_first() {
    let mut yard = Yard::pool(2);
    yard.fleet.restart(1, GRACE, yard.now);
    yard.act();
    assert_eq!((&yard.asked[..], yard.spawned.len()), (&[1][..], 2));
    yard.die(1, Ending::Code(0));
    yard.settle();
    assert_eq!(yard.spawned, [0, 1, 1]);
    yard.fleet.restart(9, GRACE, yard.now);
    assert!(yard.fleet.is_settled(), "slot 9 is not wanted");
}

#[test]
fn a_restart_of_a_slot_that_waits_starts_it_without_waiting_longer() {
    let mut yard = Yard::pool(1);
    yard.die(0, SEGFAULT);
    yard.fleet.restart(0, GRACE, yard.now);
    yard.turn();
    assert_eq!(yard.spawned, [0, 0]);
}

#[test]
fn stopping_all_asks_all_highest_first_and_ends_by_the_deadline() {
    let mut yard = Yard::pool(3);
    let asked = yard.now;
    yard.fleet.stop_all(GRACE, yard.now);
    yard.act();
    assert_eq!(yard.asked, [2, 1, 0]);
    assert!(!yard.fleet.all_stopped());
    while yard.killed.len() < 3 {
        yard.sleep_and_turn();
    }
    assert_eq!(yard.now.since(asked), GRACE + CORE.term_grace);
    assert_eq!(yard.fleet.pids().len(), 3, "killed is not yet dead");
    yard.bury_all();
    assert!(yard.fleet.all_stopped() && yard.fleet.is_settled());
    assert_eq!(yard.fleet.deadline(), None);
}

#[test]
fn a_second_stop_is_shorter_and_a_kill_ends_it() {
    let mut yard = Yard::pool(2);
    yard.fleet.stop_all(GRACE, yard.now);
    yard.fleet.stop_all(Duration::ZERO, yard.now);
    assert_eq!(yard.fleet.deadline(), Some(yard.now));
    yard.fleet.kill_all(yard.now);
    yard.act();
    assert_eq!(yard.killed.len(), 2);
}

#[test]
fn a_fleet_that_is_stopped_restarts_nobody() {
    let mut yard = Yard::pool(2);
    yard.die(0, SEGFAULT);
    yard.fleet.stop_all(GRACE, yard.now);
    yard.bury_all();
    assert!(yard.fleet.all_stopped());
    assert_eq!(yard.fleet.deadline(), None);
}

#[test]
fn a_pause_of_the_supervisor_kills_nobody() {
    let mut yard = Yard::pool(3);
    let pause = Duration::from_secs(6);
    yard.now = yard.now + pause;
    yard.fleet.credit(pause);
    yard.turn();
    assert_eq!((yard.fleet.counts().ready, yard.killed.len()), (3, 0));
    while yard.killed.is_empty() {
        yard.sleep_and_turn();
    }
    assert_eq!(yard.killed.len(), 3, "silence after the pause does");
}

#[test]
fn news_of_a_slot_that_never_was_changes_nothing() {
    let mut yard = Yard::pool(1);
    let before = yard.fleet.counts();
    yard.give(77, Input::Heartbeat);
    yard.give(77, Input::Exited(SEGFAULT));
    assert_eq!(yard.fleet.counts(), before);
    assert!(yard.fleet.child(77).is_none());
}

/// Recomputes from scratch what the fleet keeps up to date.
fn recount(fleet: &Fleet) -> (Counts, BTreeMap<Pid, u16>, BTreeSet<(Time, u16)>) {
    let (mut counts, mut pids) = (Counts::default(), BTreeMap::new());
    let mut deadlines = BTreeSet::new();
    for (slot, child) in fleet.children() {
        counts.of(child.phase(), |count| count + 1);
        counts.restarts += u64::from(child.restarts());
        counts.crashes += u64::from(child.crashes());
        pids.extend(child.pid().map(|pid| (pid, slot)));
        if !fleet.startable.contains(&slot) {
            deadlines.extend(child.deadline().map(|at| (at, slot)));
        }
    }
    (counts, pids, deadlines)
}

#[derive(Clone, Debug)]
enum Step {
    Want(BTreeSet<u16>),
    StopAll,
    KillAll,
    Restart(u16),
    Retry,
    Kill(u16),
    Die(u16, i32),
    Greet,
    Credit,
    Wait(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop::collection::btree_set(0..6_u16, 0..6).prop_map(Step::Want),
        1 => Just(Step::StopAll),
        1 => Just(Step::KillAll),
        1 => (0..6_u16).prop_map(Step::Restart),
        1 => Just(Step::Retry),
        1 => (0..6_u16).prop_map(Step::Kill),
        4 => (0..6_u16, 0..9).prop_map(|(slot, code)| Step::Die(slot, code)),
        4 => Just(Step::Greet),
        1 => Just(Step::Credit),
        4 => (0..3_000_u64).prop_map(Step::Wait),
    ]
}

fn take(yard: &mut Yard, step: Step) {
    match step {
        Step::Want(wanted) => yard.fleet.set_wanted_slots(wanted, GRACE, yard.now),
        Step::StopAll => yard.fleet.stop_all(GRACE, yard.now),
        Step::KillAll => yard.fleet.kill_all(yard.now),
        Step::Restart(slot) => yard.fleet.restart(slot, GRACE, yard.now),
        Step::Retry => yard.fleet.retry_failed(yard.now),
        Step::Kill(slot) => yard.give(slot, Input::Kill),
        Step::Die(slot, code) => yard.die(slot, Ending::Code(code)),
        Step::Greet => yard.greet_all(),
        Step::Credit => yard.fleet.credit(Duration::from_secs(1)),
        Step::Wait(millis) => {
            yard.now = yard.now + Duration::from_millis(millis);
            yard.turn();
        }
    }
    yard.act();
}

proptest! {
    #[test]
    fn whatever_happens_the_books_are_right_and_the_fleet_reaches_what_is_wanted(
        steps in prop::collection::vec(any_step(), 0..60),
        wanted in 0..6_u16,
    ) {
        let mut yard = Yard::new(&USER, Pace::POOL);
        for step in steps {
            take(&mut yard, step);
            let (counts, pids, deadlines) = recount(&yard.fleet);
            prop_assert_eq!(yard.fleet.counts(), counts);
            prop_assert_eq!(yard.fleet.pids(), &pids);
            prop_assert_eq!(&yard.fleet.deadlines, &deadlines);
        }
        yard.want(wanted);
        yard.fleet.retry_failed(yard.now);
        // Those that are not wanted die when they are asked to; nobody dies for another reason.
        for _ in 0..200 {
            if yard.fleet.is_settled() {
                break;
            }
            yard.act();
            let ending: Vec<u16> = yard.fleet.pids().values().copied()
                .filter(|&slot| !matches!(yard.fleet.phase(slot), Phase::Starting | Phase::Ready | Phase::Suspect))
                .collect();
            for slot in ending {
                yard.die(slot, Ending::Code(0));
            }
            yard.greet_all();
            if yard.fleet.counts().failed > 0 {
                yard.fleet.retry_failed(yard.now);
            }
            if !yard.fleet.is_settled() {
                yard.sleep_and_turn();
                yard.greet_all();
            }
        }
        prop_assert!(yard.fleet.is_settled());
        let living: Vec<u16> = yard.fleet.pids().values().copied().collect::<BTreeSet<_>>().into_iter().collect();
        prop_assert_eq!(living, (0..wanted).collect::<Vec<_>>());
    }
}
