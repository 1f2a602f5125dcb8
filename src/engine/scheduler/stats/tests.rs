//! Tickets' lives, lived and replayed, and what the figures make of them.

use std::time::Duration;

use super::*;
use crate::ids::TicketId;

const COUNTER: ServiceId = ServiceId(0);
const WORKER: WorkerId = WorkerId(0);

fn ms(ms: u64) -> Time {
    Time(ms * 1_000_000)
}

/// Opened at 1000 ms, warm-up to 2000 ms, arrivals until 4000 ms.
fn stats() -> Stats {
    let mut stats = Stats::new(1);
    stats.set_timeline(
        Timeline {
            opened_at: ms(1000),
            warmup: Duration::from_secs(1),
            arrivals: Some(Duration::from_secs(3)),
            pauses: Vec::new(),
        },
        Time::ZERO,
    );
    stats
}

fn served(started: u64, ended: u64) -> Completed {
    Completed {
        id: TicketId(1),
        outcome: Outcome::Served,
        worker: WORKER,
        attempts: 1,
        durable: ms(started),
        started: ms(started),
        last_started: ms(started),
        ended: ms(ended),
    }
}

fn ticket(arrived: u64, demand: u64) -> Ended {
    let demand_ns = demand * 1_000_000;
    Ended { service: COUNTER, user: UserId(0), arrived: ms(arrived), demand_ns }
}

/// One ticket's life, in milliseconds.
fn live(stats: &mut Stats, arrived: u64, started: u64, ended: u64, demand: u64) {
    let mut stay = stats.issued(COUNTER, ms(arrived), true);
    stats.started(COUNTER, &mut stay, ms(started));
    stats.left(COUNTER, &mut stay, WORKER, ms(ended));
    stats.departed(COUNTER, &stay, ms(arrived), false);
    stats.completed(&ticket(arrived, demand), &served(started, ended));
}

fn integrals(stats: &Stats, now: u64) -> [u128; 3] {
    let (position, counter) = (stats.position(ms(now)), &stats.services()[0]);
    [
        counter.waiting.integral_ns(position),
        counter.in_service.integral_ns(position),
        counter.waits_ns(position),
    ]
    .map(|ns| ns / 1_000_000)
}

#[test]
fn a_ticket_is_measured_if_it_arrived_in_the_window() {
    let mut stats = stats();
    live(&mut stats, 1900, 1950, 2100, 100);
    live(&mut stats, 2200, 2300, 2500, 150);
    live(&mut stats, 3900, 3950, 4700, 700);
    live(&mut stats, 4000, 4000, 4800, 700);
    let counter = &stats.services()[0];
    assert_eq!((counter.totals.issued, counter.totals.served), (4, 4));
    assert_eq!((counter.measured.issued, counter.measured.served), (2, 2));
    assert_eq!(counter.window_completions, 2);
    let latencies = counter.latencies.whole();
    let wait = latencies.wait.spread().unwrap();
    assert_eq!((wait.mean, counter.delayed), (Duration::from_millis(75), 2));
    let overhead = latencies.overhead.spread().unwrap();
    assert_eq!(overhead.mean, Duration::from_millis(50));
    assert_eq!(counter.accepted_waits, Sum { ns: 150_000_000, count: 2 });
}

#[test]
fn fresh_latencies_are_told_once_and_those_of_the_warm_up_apart() {
    let mut stats = stats();
    live(&mut stats, 1900, 1950, 2100, 100);
    live(&mut stats, 2200, 2300, 2500, 150);
    let mut told = Vec::new();
    for _ in 0..2 {
        for timed in stats.latencies_mut() {
            timed.tell(|is_measured, latencies| {
                told.push((is_measured, latencies.wait.mean()));
            });
        }
    }
    assert_eq!(told, [(true, 100_000_000), (false, 50_000_000)]);
    assert_eq!(stats.services()[0].latencies.whole().wait.count(), 1);
}

#[test]
fn integrals_count_only_the_window_and_no_pause() {
    let mut stats = stats();
    stats.set_staffed(2, ms(500));
    let mut stay = stats.issued(COUNTER, ms(1500), true);
    stats.started(COUNTER, &mut stay, ms(2500));
    let mut line = stats.timeline().clone();
    line.pauses = vec![(ms(3000), ms(3400))];
    line.arrivals = Some(Duration::from_millis(2600));
    stats.set_timeline(line, Time::ZERO);
    stats.left(COUNTER, &mut stay, WORKER, ms(4500));
    assert_eq!(integrals(&stats, 5000), [500, 1100, 500]);
    let staffed = stats.staffed().integral_ns(stats.position(ms(5000)));
    assert_eq!(staffed, 3_200_000_000);
    assert_eq!(stats.office().busy_ns, [Some(1_100_000_000)]);
}

#[test]
fn the_queues_length_and_the_waits_add_up_to_the_same_while_tickets_wait() {
    let mut stats = stats();
    let mut first = stats.issued(COUNTER, ms(1500), true);
    let mut second = stats.issued(COUNTER, ms(2200), true);
    stats.started(COUNTER, &mut first, ms(2400));
    assert_eq!(integrals(&stats, 2600), [400 + 400, 200, 400 + 400]);
    stats.requeued(COUNTER, &mut first, WORKER, ms(2700));
    stats.started(COUNTER, &mut second, ms(2800));
    assert_eq!(integrals(&stats, 3000), [400 + 600 + 300, 300 + 200, 400 + 600 + 300]);
    assert_eq!((stats.services()[0].lost_ns, stats.redelivered), (300_000_000, 1));
    let position = stats.position(ms(3000));
    let of = |stay: Stay, presence| stay.contributed(presence, position).map(|ns| ns / 1_000_000);
    assert_eq!(of(first, Presence::Waiting), [700, 300]);
    assert_eq!(of(second, Presence::InService), [600, 200]);
}

#[test]
fn a_pause_that_is_heard_of_late_leaves_no_gap_between_the_queue_and_its_waits() {
    let mut stats = stats();
    let mut line = stats.timeline().clone();
    let mut first = stats.issued(COUNTER, ms(2100), true);
    let mut quick = stats.issued(COUNTER, ms(2400), true);
    stats.started(COUNTER, &mut quick, ms(2450));
    line.pause(ms(2300));
    let rewind = stats.set_timeline(line.clone(), ms(2500)).unwrap();
    stats.take_back(rewind, COUNTER, Presence::Waiting, &mut first);
    stats.take_back(rewind, COUNTER, Presence::InService, &mut quick);
    assert_eq!(stats.position(ms(2500)), 300_000_000);
    stats.left(COUNTER, &mut quick, WORKER, ms(2550));
    let mut second = stats.issued(COUNTER, ms(2600), true);
    line.resume(ms(3000));
    // What comes between the end of the pause and the word of it is no trouble.
    let mut third = stats.issued(COUNTER, ms(3020), true);
    assert_eq!(stats.set_timeline(line, ms(3050)), None);
    for (stay, arrived, at) in
        [(&mut first, 2100, 3100), (&mut second, 2600, 3200), (&mut third, 3020, 3300)]
    {
        stats.started(COUNTER, stay, ms(at));
        stats.left(COUNTER, stay, WORKER, ms(at + 50));
        stats.departed(COUNTER, stay, ms(arrived), false);
        stats.completed(&ticket(arrived, 50), &served(at, at + 50));
    }
    stats.departed(COUNTER, &quick, ms(2400), false);
    stats.completed(&ticket(2400, 100), &served(2450, 2550));
    let [waiting, in_service, waits] = integrals(&stats, 3500);
    assert_eq!(waiting, waits);
    // The quick one waited while nobody knew that the window stood still.
    assert_eq!(waiting, 300 + 50 + 200 + 300);
    assert_eq!(in_service, 50 + 50 + 50);
}

#[test]
fn waits_across_the_windows_borders_and_through_pauses_are_accounted_for() {
    let mut stats = stats();
    live(&mut stats, 1500, 2500, 2600, 0);
    live(&mut stats, 2650, 2800, 2950, 0);
    let mut late = stats.issued(COUNTER, ms(3800), true);
    let mut line = stats.timeline().clone();
    line.pauses = vec![(ms(3850), ms(3950))];
    line.arrivals = Some(Duration::from_millis(2900));
    stats.set_timeline(line, Time::ZERO);
    stats.started(COUNTER, &mut late, ms(4500));
    assert_eq!(integrals(&stats, 4600), [500 + 150 + 100, 100 + 150, 500 + 150 + 100]);
    stats.left(COUNTER, &mut late, WORKER, ms(4600));
    stats.departed(COUNTER, &late, ms(3800), false);
    stats.completed(&ticket(3800, 0), &served(4500, 4600));
    assert_eq!(integrals(&stats, 5000)[2], 500 + 150 + 100);
    assert_eq!(stats.services()[0].accepted_waits, Sum { ns: 850_000_000, count: 2 });
}

#[test]
fn waits_that_are_published_wrongly_do_not_add_up() {
    let mut stats = stats();
    let mut stay = stats.issued(COUNTER, ms(2200), true);
    stats.started(COUNTER, &mut stay, ms(2300));
    stats.left(COUNTER, &mut stay, WORKER, ms(2500));
    stats.departed(COUNTER, &stay, ms(2200), false);
    // The record says that it started 50 ms later than it did.
    stats.completed(&ticket(2200, 0), &served(2350, 2500));
    assert_eq!(integrals(&stats, 3000), [100, 200, 150]);
}

#[test]
fn work_is_lost_with_a_worker_that_dies_whether_it_is_tried_again_or_not() {
    let mut stats = stats();
    let mut stay = stats.issued(COUNTER, ms(2200), true);
    stats.started(COUNTER, &mut stay, ms(2300));
    stats.lost(COUNTER, &mut stay, WORKER, ms(2500));
    assert_eq!(stats.services()[0].lost_ns, 200_000_000);
    assert_eq!((stats.office().busy_ns[0], integrals(&stats, 3000)[1]), (Some(200_000_000), 200));
}

#[test]
fn a_queue_that_only_shrinks_was_longest_when_the_window_began() {
    let mut stats = stats();
    let mut stays = [0, 1, 2].map(|_| stats.issued(COUNTER, ms(1500), true));
    stats.started(COUNTER, &mut stays[0], ms(2100));
    assert_eq!(stats.services()[0].waiting.level().max(), (3, ms(2100)));
}

#[test]
fn a_worker_that_has_nothing_to_do_counts_as_one() {
    let mut stats = stats();
    (0..4).for_each(|number| stats.worker_up(WorkerId(number)));
    live(&mut stats, 2200, 2300, 2500, 0);
    assert!((stats.office().workers_fairness().unwrap() - 0.25).abs() < 1e-9);
}

#[test]
fn the_longest_queue_of_all_services_is_no_sum_of_the_longest() {
    let mut stats = Stats::new(2);
    let mut one = stats.issued(ServiceId(0), ms(1), false);
    stats.started(ServiceId(0), &mut one, ms(2));
    stats.issued(ServiceId(1), ms(3), false);
    assert_eq!(stats.office().waiting.max(), (1, ms(1)));
    assert_eq!(stats.office().in_system.max(), (2, ms(3)));
    assert_eq!(stats.services()[1].waiting.level().max(), (1, ms(3)));
}

#[test]
fn replaying_the_log_gives_the_same_figures_as_living() {
    let (mut lived, mut replayed) = (stats(), stats());
    for (arrived, started, ended) in [(1900, 1950, 2100), (2200, 2300, 2500), (3900, 4100, 4700)] {
        live(&mut lived, arrived, started, ended, 100);
        let end = served(started, ended);
        replayed.replay_issued(COUNTER, ms(arrived), true);
        replayed.replay_stay(COUNTER, ms(arrived), false, &end);
        replayed.completed(&ticket(arrived, 100), &end);
    }
    assert_eq!(integrals(&lived, 5000), integrals(&replayed, 5000));
    let (a, b) = (&lived.services()[0], &replayed.services()[0]);
    assert_eq!((a.totals, a.measured, a.delayed), (b.totals, b.measured, b.delayed));
    assert_eq!(a.window_completions, b.window_completions);
    assert_eq!(a.latencies.whole(), b.latencies.whole());
    assert_eq!((&a.wait_means, &a.sojourn_means), (&b.wait_means, &b.sojourn_means));
    assert_eq!(lived.office().busy_ns, replayed.office().busy_ns);
}

#[test]
fn a_ticket_that_was_open_at_a_crash_has_waited_since_it_arrived() {
    let mut stats = stats();
    let mut stay = stats.recover(COUNTER, ms(2200), false, ms(2500));
    assert_eq!(integrals(&stats, 2600), [400, 0, 400]);
    stats.started(COUNTER, &mut stay, ms(2700));
    assert_eq!(integrals(&stats, 2800), [500, 100, 500]);
}
