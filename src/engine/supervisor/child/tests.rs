//! The life of one slot, state by state.

use std::fmt::Write;

use proptest::prelude::*;

use super::*;

const GRACE: Duration = Duration::from_secs(3);
const KILLED_BY_US: Ending = Ending::Signal(9);
const SEGFAULT: Ending = Ending::Signal(11);

static CORE: Policy = Policy::CORE;
static USER: Policy = Policy::USER;

fn pid() -> Pid {
    Pid::from_raw(7)
}

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

/// A child and the clock it lives by.
struct Bench {
    child: Child,
    now: Time,
}

impl Bench {
    fn new(policy: &'static Policy) -> Self {
        Self { child: Child::new(policy), now: at(1_000) }
    }

    /// A child that has been brought to `phase` by the shortest way.
    fn ready() -> Self {
        let mut bench = Self::new(&CORE);
        bench.become_ready();
        bench
    }

    fn become_ready(&mut self) {
        if self.child.pid().is_none() {
            self.give(Input::Start);
            self.give(Input::Spawned { pid: pid() });
        }
        self.give(Input::Hello);
        self.give(Input::Ready);
        assert_eq!(self.child.phase(), Phase::Ready);
    }

    /// Gives one input and returns what is to be done, without reports.
    fn give(&mut self, input: Input) -> Vec<Effect> {
        self.give_all(input)
            .into_iter()
            .filter(|effect| !matches!(effect, Effect::Report(_)))
            .collect()
    }

    fn give_all(&mut self, input: Input) -> Vec<Effect> {
        self.child.handle(input, self.now);
        std::iter::from_fn(|| self.child.poll_effect()).collect()
    }

    /// Lets the time pass until the next deadline and ticks.
    fn expire(&mut self) -> Vec<Effect> {
        self.now = self.child.deadline().expect("a deadline is pending");
        self.give(Input::Tick)
    }

    fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    /// Dies, and returns the delay until the restart, `None` if there is none.
    fn die(&mut self, ending: Ending) -> Option<Duration> {
        self.give(Input::Exited(ending));
        match self.child.phase() {
            Phase::Backoff => self.child.deadline().map(|at| at.since(self.now)),
            _ => None,
        }
    }

    /// Starts again after the delay and dies before it is ready.
    fn crash_again(&mut self) -> Option<Duration> {
        assert!(matches!(self.expire()[..], [Effect::Spawn { .. }]));
        self.give(Input::Spawned { pid: pid() });
        self.die(SEGFAULT)
    }
}

fn signal(signal: Lethal) -> Effect {
    Effect::Signal { pid: pid(), signal }
}

#[test]
fn a_slot_is_started_greets_and_serves() {
    let mut bench = Bench::new(&CORE);
    assert_eq!(bench.give(Input::Start), [Effect::Spawn { generation: 1 }]);
    assert_eq!(bench.child.pid(), None);
    bench.give(Input::Spawned { pid: pid() });
    assert_eq!((bench.child.pid(), bench.child.phase()), (Some(pid()), Phase::Starting));
    bench.give(Input::Hello);
    assert_eq!(bench.child.ready_since(), None);
    bench.give(Input::Ready);
    assert_eq!(bench.child.phase(), Phase::Ready);
    assert_eq!(bench.child.ready_since(), Some(bench.now));
}

#[test]
fn a_process_without_hello_is_killed_after_two_seconds_and_replaced() {
    let mut bench = Bench::new(&CORE);
    bench.give(Input::Start);
    bench.give(Input::Spawned { pid: pid() });
    assert_eq!(bench.child.deadline(), Some(bench.now + Duration::from_secs(2)));
    assert_eq!(bench.expire(), [signal(Lethal::Kill)]);
    assert_eq!(bench.die(KILLED_BY_US), Some(CORE.backoff_min));
    assert_eq!(bench.expire(), [Effect::Spawn { generation: 2 }]);
    assert_eq!((bench.child.crashes(), bench.child.restarts()), (1, 1));
}

#[test]
fn progress_extends_the_time_to_become_ready_as_often_as_it_comes() {
    let mut bench = Bench::new(&CORE);
    bench.give(Input::Start);
    bench.give(Input::Spawned { pid: pid() });
    bench.give(Input::Hello);
    for _ in 0..10 {
        bench.wait(Duration::from_millis(4_900));
        assert_eq!(bench.give(Input::Tick), []);
        bench.give(Input::Progress);
    }
    bench.give(Input::Heartbeat);
    assert_eq!(
        bench.child.deadline(),
        Some(bench.now + Duration::from_secs(5)),
        "a heartbeat is no progress"
    );
    assert_eq!(bench.expire(), [signal(Lethal::Kill)]);
}

#[test]
fn a_silent_process_is_suspect_after_one_second_and_dead_after_three() {
    let mut bench = Bench::ready();
    let silent_from = bench.now;
    assert_eq!(bench.expire(), []);
    assert_eq!(bench.child.phase(), Phase::Suspect);
    assert_eq!(bench.now.since(silent_from), Duration::from_secs(1));
    assert_eq!(bench.expire(), [signal(Lethal::Kill)]);
    assert_eq!(bench.now.since(silent_from), Duration::from_secs(3));
    bench.give(Input::Exited(KILLED_BY_US));
    assert_eq!(bench.child.crashes(), 1, "a hang counts as a death");
}

#[test]
fn a_heartbeat_clears_the_suspicion() {
    let mut bench = Bench::ready();
    bench.expire();
    bench.wait(Duration::from_secs(1));
    let effects = bench.give_all(Input::Heartbeat);
    let report = Transition {
        from: Phase::Suspect,
        to: Phase::Ready,
        cause: Cause::Heard(Duration::from_secs(2)),
    };
    assert_eq!(effects, [Effect::Report(report)]);
    assert_eq!(bench.child.deadline(), Some(bench.now + Duration::from_secs(1)));
}

#[test]
fn a_stop_asks_then_terminates_then_kills() {
    let mut bench = Bench::ready();
    let asked = bench.now;
    assert_eq!(bench.give(Input::Stop { grace: GRACE }), [Effect::Stop]);
    assert_eq!(bench.expire(), [signal(Lethal::Term)]);
    assert_eq!(bench.now.since(asked), GRACE);
    assert_eq!(bench.expire(), [signal(Lethal::Kill)]);
    assert_eq!(bench.now.since(asked), GRACE + Duration::from_secs(1));
    assert_eq!(bench.child.deadline(), None, "SIGKILL is not repeated");
    bench.give(Input::Exited(KILLED_BY_US));
    assert_eq!(bench.child.phase(), Phase::Stopped);
    assert_eq!(bench.child.crashes(), 0);
}

#[test]
fn a_second_stop_can_only_shorten_the_grace() {
    let mut bench = Bench::ready();
    bench.give(Input::Stop { grace: GRACE });
    let first = bench.child.deadline();
    assert_eq!(bench.give(Input::Stop { grace: GRACE * 2 }), []);
    assert_eq!(bench.child.deadline(), first);
    bench.give(Input::Stop { grace: Duration::ZERO });
    assert_eq!(bench.child.deadline(), Some(bench.now));
}

#[test]
fn a_stop_while_the_process_is_being_started_catches_it() {
    for (input, expected) in
        [(Input::Stop { grace: GRACE }, Effect::Stop), (Input::StopNow, signal(Lethal::Kill))]
    {
        let mut bench = Bench::new(&CORE);
        bench.give(Input::Start);
        assert_eq!(bench.give(input), []);
        assert_eq!(bench.give(Input::Spawned { pid: pid() }), [expected]);
        bench.give(Input::Exited(Ending::Code(0)));
        assert_eq!(bench.child.phase(), Phase::Stopped);
    }
}

#[test]
fn a_stop_that_is_taken_back_while_spawning_leaves_no_trace() {
    let mut bench = Bench::new(&CORE);
    bench.give(Input::Start);
    bench.give(Input::StopNow);
    bench.give(Input::Start);
    assert_eq!(bench.give(Input::Spawned { pid: pid() }), []);
    assert_eq!(bench.child.phase(), Phase::Starting);
}

#[test]
fn a_stopping_slot_that_is_wanted_again_restarts_without_delay_or_blame() {
    let mut bench = Bench::ready();
    bench.give(Input::Stop { grace: GRACE });
    assert_eq!(bench.give(Input::Start), [], "the old process still lives");
    assert_eq!(bench.die(Ending::Code(0)), Some(Duration::ZERO));
    assert_eq!(bench.expire(), [Effect::Spawn { generation: 2 }]);
    assert_eq!(bench.child.crashes(), 0);
}

#[test]
fn a_stop_ends_the_wait_for_a_restart() {
    let mut bench = Bench::ready();
    bench.die(SEGFAULT);
    bench.give(Input::Stop { grace: GRACE });
    assert_eq!((bench.child.phase(), bench.child.deadline()), (Phase::Stopped, None));
}

#[test]
fn the_first_restart_of_a_role_is_quick_however_short_it_was_ready() {
    let mut bench = Bench::ready();
    assert_eq!(bench.die(KILLED_BY_US), Some(Duration::from_millis(100)));
}

#[test]
fn a_role_that_was_ready_for_long_restarts_at_once() {
    let mut bench = Bench::ready();
    bench.wait(Duration::from_secs(11));
    assert_eq!(bench.die(SEGFAULT), Some(Duration::ZERO));
}

#[test]
fn a_crash_loop_slows_down_and_is_given_up_at_the_sixth_death() {
    let mut bench = Bench::ready();
    let mut delays = vec![bench.die(SEGFAULT)];
    delays.extend((0..5).map(|_| bench.crash_again()));
    let millis: Vec<_> = delays.iter().flatten().map(Duration::as_millis).collect();
    assert_eq!(millis, [100, 200, 400, 800, 1600]);
    assert_eq!(bench.child.phase(), Phase::Failed);
    assert_eq!(bench.child.deadline(), None);
}

#[test]
fn a_failed_slot_gets_a_clean_slate_when_a_person_retries_it() {
    let mut bench = Bench::ready();
    bench.die(SEGFAULT);
    while bench.child.phase() != Phase::Failed {
        bench.crash_again();
    }
    assert!(matches!(bench.give(Input::Start)[..], [Effect::Spawn { .. }]));
    bench.give(Input::Spawned { pid: pid() });
    assert_eq!(bench.die(SEGFAULT), Some(CORE.backoff_min));
}

#[test]
fn a_user_process_is_never_given_up() {
    let mut bench = Bench::new(&USER);
    bench.become_ready();
    bench.die(SEGFAULT);
    for _ in 0..100 {
        assert!(bench.crash_again().is_some_and(|delay| delay <= USER.backoff_max));
    }
}

#[test]
fn deaths_by_hand_are_not_counted() {
    let mut bench = Bench::ready();
    for _ in 0..20 {
        assert_eq!(bench.give(Input::Kill), [signal(Lethal::Kill)]);
        assert_eq!(bench.die(KILLED_BY_US), Some(CORE.backoff_min));
        bench.expire();
        bench.give(Input::Spawned { pid: pid() });
        bench.become_ready();
    }
    assert_eq!((bench.child.crashes(), bench.child.restarts()), (0, 20));
}

#[test]
fn an_exit_that_no_restart_can_cure_is_final() {
    for code in super::super::exit::EXIT_PERMANENT {
        let mut bench = Bench::ready();
        assert_eq!(bench.die(Ending::Code(code)), None);
        assert_eq!(bench.child.phase(), Phase::Failed, "{code}");
        let mut stopping = Bench::ready();
        stopping.give(Input::Stop { grace: GRACE });
        stopping.give(Input::Exited(Ending::Code(code)));
        assert_eq!(stopping.child.phase(), Phase::Stopped, "{code} when unwanted");
    }
}

#[test]
fn a_full_machine_is_retried_for_ever_and_a_broken_one_is_not() {
    for (errno, is_final) in [
        (Errno::EAGAIN, false),
        (Errno::ENOMEM, false),
        (Errno::EMFILE, false),
        (Errno::ENOENT, true),
    ] {
        let mut bench = Bench::new(&CORE);
        bench.give(Input::Start);
        for _ in 0..50 {
            bench.give(Input::SpawnFailed { errno });
            if bench.child.phase() == Phase::Failed {
                break;
            }
            let retry = bench.child.deadline().unwrap().since(bench.now);
            assert!(retry > Duration::ZERO && retry <= CORE.backoff_max);
            bench.expire();
        }
        assert_eq!(bench.child.phase() == Phase::Failed, is_final, "{errno}");
    }
}

#[test]
fn a_pool_that_is_given_up_takes_only_waiting_slots_with_it() {
    let mut bench = Bench::ready();
    bench.give(Input::GiveUp);
    assert_eq!(bench.child.phase(), Phase::Ready);
    bench.die(SEGFAULT);
    bench.give(Input::GiveUp);
    assert_eq!(bench.child.phase(), Phase::Failed);
}

#[test]
fn lateness_of_the_supervisor_is_credited_to_every_deadline_that_kills() {
    type Prepare = fn(&mut Bench);
    let prepare: [Prepare; 6] = [
        |bench| bench.child.handle(Input::Hello, bench.now),
        |_| (),
        |bench| bench.become_ready(),
        |bench| {
            bench.become_ready();
            bench.expire();
        },
        |bench| drop(bench.give(Input::Stop { grace: GRACE })),
        |bench| {
            bench.give(Input::Stop { grace: GRACE });
            bench.expire();
        },
    ];
    for prepare in prepare {
        let mut bench = Bench::new(&CORE);
        bench.give(Input::Start);
        bench.give(Input::Spawned { pid: pid() });
        prepare(&mut bench);
        let before = bench.child.deadline().unwrap();
        let lateness = Duration::from_secs(6);
        bench.child.credit(lateness);
        assert_eq!(bench.child.deadline(), Some(before + lateness));
        bench.now = before + Duration::from_secs(5);
        assert_eq!(bench.give_all(Input::Tick), [], "{:?}", bench.child.state);
    }
}

#[test]
fn a_restart_is_not_delayed_by_the_lateness_of_the_supervisor() {
    let mut bench = Bench::ready();
    bench.die(SEGFAULT);
    let before = bench.child.deadline();
    bench.child.credit(Duration::from_secs(6));
    assert_eq!(bench.child.deadline(), before);
}

#[test]
fn reports_name_both_phases_and_the_cause() {
    let mut bench = Bench::ready();
    let effects = bench.give_all(Input::Exited(Ending::Signal(9)));
    let [Effect::Report(report)] = effects[..] else {
        panic!("one report, not {effects:?}");
    };
    assert_eq!(
        report.to_string(),
        "ready -> backoff: killed by SIGKILL (not ours; out of memory?)"
    );
}

/// Every state, reached by these inputs from the start. A dot ticks at the deadline.
const STATES: [(&str, &str); 14] = [
    ("stopped", ""),
    ("spawning", "S"),
    ("spawning, unwanted", "S s"),
    ("greeting", "S p"),
    ("preparing", "S p h"),
    ("ready", "S p h r"),
    ("suspect", "S p h r ."),
    ("draining", "S p h r s"),
    ("draining, wanted", "S p h r s S"),
    ("terminating", "S p h r s ."),
    ("killed by stop", "S p h r !"),
    ("killed by hand", "S p h r k"),
    ("killed, hung", "S p h r . ."),
    ("backoff", "S p h r x"),
];

/// Every input and its letter in [`STATES`].
fn inputs() -> [(&'static str, Input); 16] {
    [
        ("S", Input::Start),
        ("p", Input::Spawned { pid: pid() }),
        ("e", Input::SpawnFailed { errno: Errno::EAGAIN }),
        ("h", Input::Hello),
        ("r", Input::Ready),
        ("g", Input::Progress),
        ("b", Input::Heartbeat),
        ("x", Input::Exited(SEGFAULT)),
        ("9", Input::Exited(KILLED_BY_US)),
        ("7", Input::Exited(Ending::Code(7))),
        ("s", Input::Stop { grace: GRACE }),
        ("!", Input::StopNow),
        ("k", Input::Kill),
        ("u", Input::GiveUp),
        ("t", Input::Tick),
        (".", Input::Tick),
    ]
}

fn give_letter(bench: &mut Bench, letter: &str) -> Vec<Effect> {
    let (_, input) =
        inputs().into_iter().find(|(name, _)| *name == letter).expect("the letter is in the table");
    if letter == "." {
        bench.now = bench.child.deadline().unwrap_or(bench.now);
    }
    bench.give_all(input)
}

/// Describes what one input does: the state it leads to, and effects.
fn describe(bench: &Bench, before: State, effects: &[Effect]) -> String {
    let mut text = match bench.child.state == before {
        true => String::from("-"),
        false => format!("{:?}", bench.child.state)
            .replace("pid: Pid(7), ", "")
            .replace("Time(", "")
            .replace("000000)", " ms"),
    };
    for effect in effects {
        match effect {
            Effect::Spawn { generation } => write!(text, " +spawn#{generation}"),
            Effect::Stop => write!(text, " +stop"),
            Effect::Signal { signal, .. } => write!(text, " +{signal:?}"),
            Effect::Report(report) => write!(text, " [{report}]"),
        }
        .unwrap();
    }
    text
}

#[test]
fn the_table_of_states_and_inputs_is_as_reviewed() {
    let failed = ("failed", "S p h r 7");
    let mut table = String::new();
    for (name, way) in STATES.into_iter().chain([failed]) {
        writeln!(table, "{name}").unwrap();
        for (letter, input) in inputs() {
            let mut bench = Bench::new(&CORE);
            for step in way.split_whitespace() {
                give_letter(&mut bench, step);
            }
            bench.wait(Duration::from_millis(1));
            let before = bench.child.state;
            let effects = give_letter(&mut bench, letter);
            let label = match letter {
                "." => String::from("Tick at the deadline"),
                _ => format!("{input:?}").replace("Pid(7)", "7"),
            };
            let outcome = describe(&bench, before, &effects);
            if outcome != "-" {
                writeln!(table, "  {label:<30} {outcome}").unwrap();
            }
        }
    }
    insta::assert_snapshot!(table);
}

fn any_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        Just(Input::Start),
        Just(Input::Hello),
        Just(Input::Ready),
        Just(Input::Progress),
        Just(Input::Heartbeat),
        Just(Input::StopNow),
        Just(Input::Kill),
        Just(Input::GiveUp),
        Just(Input::Tick),
        (0..10_000_u64).prop_map(|millis| Input::Stop { grace: Duration::from_millis(millis) }),
        (0..10_i32).prop_map(|code| Input::Exited(Ending::Code(code))),
        Just(Input::Exited(SEGFAULT)),
        Just(Input::Spawned { pid: pid() }),
        Just(Input::SpawnFailed { errno: Errno::EAGAIN }),
        Just(Input::SpawnFailed { errno: Errno::ENOENT }),
    ]
}

/// What a system would let happen: a start is answered once, only the living die.
fn is_possible(input: Input, is_spawning: bool, is_alive: bool) -> bool {
    match input {
        Input::Spawned { .. } | Input::SpawnFailed { .. } => is_spawning,
        Input::Exited(_) => is_alive,
        _ => true,
    }
}

proptest! {
    #[test]
    fn a_slot_never_has_two_processes_and_a_stop_always_ends(
        steps in prop::collection::vec((any_input(), 0..4_000_u64), 0..80),
        grace in 0..5_000_u64,
    ) {
        let mut bench = Bench::new(&CORE);
        let (mut is_spawning, mut is_alive) = (false, false);
        for (input, millis) in steps {
            bench.wait(Duration::from_millis(millis));
            if is_possible(input, is_spawning, is_alive) {
                match input {
                    Input::Spawned { .. } => (is_spawning, is_alive) = (false, true),
                    Input::SpawnFailed { .. } => is_spawning = false,
                    Input::Exited(_) => is_alive = false,
                    _ => {}
                }
            }
            // Impossible inputs are given as well: they must be harmless.
            for effect in bench.give(input) {
                match effect {
                    Effect::Spawn { .. } => {
                        prop_assert!(!is_alive && !is_spawning);
                        is_spawning = true;
                    }
                    Effect::Stop | Effect::Signal { .. } => prop_assert!(is_alive),
                    Effect::Report(_) => {}
                }
            }
            prop_assert_eq!(bench.child.pid().is_some(), is_alive);
        }
        let grace = Duration::from_millis(grace);
        let ends_by = bench.now + grace + CORE.term_grace;
        bench.give(Input::Stop { grace });
        if is_spawning {
            bench.give(Input::Spawned { pid: pid() });
        }
        while bench.child.deadline().is_some() {
            bench.expire();
        }
        prop_assert!(bench.now <= ends_by);
        bench.give(Input::Exited(KILLED_BY_US));
        prop_assert_eq!(bench.child.phase(), Phase::Stopped);
    }
}
