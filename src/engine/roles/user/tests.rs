//! Users without sockets: what they ask and when.

use super::*;
use crate::config;
use crate::net::message::UsersConfig;
use crate::tempo::{Course, Factor};

/// One closed user who thinks for 100 ms.
fn crowd(links: &mut Links) -> (Crowd, UserId) {
    crowd_of("users = 1\nthink = 100ms", links)
}

fn crowd_of(load: &str, links: &mut Links) -> (Crowd, UserId) {
    let text = &format!("[service.a]\ntime = 5ms\n[load.l]\n{load}");
    let config = UsersConfig {
        scenario: text.to_owned(),
        seed: 1,
        socket: "/nowhere".to_owned(),
        secret: [0; 16],
        timeline: Timeline { opened_at: Time(1), ..Timeline::default() },
        tempo: Tempo::default(),
        ack_log: None,
        notes_dir: None,
    };
    let scenario = config::parse_effective(text).unwrap();
    let mut crowd = Crowd::new(0, config, &scenario).unwrap();
    let user = UserId::new(LoadId(0), 0);
    crowd.host(&[user], links);
    (crowd, user)
}

fn ms(ms: u64) -> Time {
    Time(1 + ms * 1_000_000)
}

fn done(token: Token) -> (Token, Option<(TicketId, Outcome)>) {
    (token, Some((TicketId(9), Outcome::Served)))
}

#[test]
fn a_closed_user_has_one_request_at_a_time() {
    let mut links = Links::default();
    let (mut crowd, user) = crowd(&mut links);
    crowd.on_attached(user, 4, ms(0));
    crowd.turn(ms(99), &mut links);
    assert_eq!(crowd.asks.len(), 0);
    crowd.turn(ms(100), &mut links);
    crowd.turn(ms(900), &mut links);
    let asked: Vec<Token> = crowd.asks.keys().copied().collect();
    assert_eq!(asked, [Token { user, seq: 4 }]);
    let (token, end) = done(asked[0]);
    crowd.settle(token, end, ms(900));
    crowd.turn(ms(1000), &mut links);
    assert!(crowd.asks.contains_key(&Token { user, seq: 5 }));
    assert_eq!((crowd.totals.intended, crowd.totals.served), (2, 1));
}

#[test]
fn a_user_that_left_and_came_back_has_one_cycle() {
    let mut links = Links::default();
    let (mut crowd, user) = crowd(&mut links);
    crowd.on_attached(user, 0, ms(0));
    crowd.turn(ms(100), &mut links);
    for _ in 0..3 {
        crowd.host(&[], &mut links);
        crowd.host(&[user], &mut links);
        crowd.on_attached(user, 1, ms(150));
    }
    let (token, end) = done(Token { user, seq: 0 });
    crowd.settle(token, end, ms(160));
    crowd.turn(ms(5000), &mut links);
    let asked: Vec<Token> = crowd.asks.keys().copied().collect();
    assert_eq!(asked, [Token { user, seq: 1 }], "old timers and requests start nothing");
}

#[test]
fn nothing_is_asked_in_a_pause_or_after_the_end() {
    let mut links = Links::default();
    let (mut crowd, user) = crowd(&mut links);
    crowd.on_attached(user, 0, ms(0));
    crowd.line.pause(ms(50));
    crowd.turn(ms(500), &mut links);
    assert_eq!(crowd.asks.len(), 0);
    crowd.line.resume(ms(500));
    crowd.turn(ms(549), &mut links);
    assert_eq!(crowd.asks.len(), 0, "the pause is no thinking time");
    crowd.line.arrivals = Some(Duration::from_millis(80));
    crowd.turn(ms(900), &mut links);
    assert_eq!(crowd.asks.len(), 0);
}

#[test]
fn an_arrival_that_can_not_be_sent_is_late_or_dropped_as_the_load_says() {
    let mut links = Links::default();
    for (on_overrun, asked, dropped) in [("late", 10, 0), ("drop", 0, 10)] {
        let load = format!("model = open\nrate = det 100/s\non_overrun = {on_overrun}");
        let (mut crowd, user) = crowd_of(&load, &mut links);
        crowd.on_attached(user, 0, ms(0));
        crowd.turn(ms(100), &mut links);
        let found = (crowd.asks.len(), crowd.totals.dropped, crowd.totals.intended);
        assert_eq!(found, (asked, dropped, 10), "{on_overrun}: the issuer is away");
    }
}

/// Makes users live so many times as fast from this moment on.
fn change(crowd: &mut Crowd, times: f64, at: Time) {
    let office_ns = nanos(crowd.line.office_time(at));
    crowd.tempo.0.resize(1, Course::default());
    crowd.tempo.0[0].change(Factor::new(times).unwrap(), office_ns);
}

/// Lets time pass until `until`, each request at its own moment, and returns when each was due.
fn live(crowd: &mut Crowd, until: Time, links: &mut Links) -> Vec<Time> {
    let mut dues = Vec::new();
    loop {
        crowd.turn(Time::ZERO, links);
        let next = crowd.next_due();
        if next > until {
            return dues;
        }
        let before = crowd.totals.intended;
        crowd.turn(next, links);
        assert_eq!(crowd.totals.intended, before + 1, "a deadline is exactly when one is due");
        let token = crowd.unsent.pop_front().unwrap();
        dues.push(crowd.asks[&token].scheduled);
        assert_eq!(dues.last(), Some(&next), "and it is due then");
        let (token, end) = done(token);
        crowd.settle(token, end, next);
    }
}

fn in_ms(dues: &[Time]) -> Vec<u64> {
    dues.iter().map(|due| (due.0 - 1) / 1_000_000).collect()
}

#[test]
fn open_arrivals_keep_their_order_and_come_as_fast_as_the_tempo_says() {
    let mut links = Links::default();
    let (mut crowd, user) = crowd_of("model = open\nrate = det 10/s", &mut links);
    crowd.on_attached(user, 0, ms(0));
    assert_eq!(in_ms(&live(&mut crowd, ms(350), &mut links)), [100, 200, 300]);
    change(&mut crowd, 4.0, ms(350));
    // Half of a gap is over; the other half passes in a quarter of its time.
    let dues = live(&mut crowd, ms(440), &mut links);
    assert_eq!(in_ms(&dues), [362, 387, 412, 437], "neither a burst nor a gap");
    change(&mut crowd, 0.5, ms(450));
    assert_eq!(in_ms(&live(&mut crowd, ms(900), &mut links)), [550, 750]);
    assert_eq!(crowd.totals.intended, 9);
}

#[test]
fn a_closed_user_thinks_on_at_the_new_tempo_and_is_never_late_by_it() {
    let mut links = Links::default();
    let (mut crowd, user) = crowd(&mut links);
    crowd.on_attached(user, 0, ms(0));
    assert_eq!(in_ms(&live(&mut crowd, ms(150), &mut links)), [100]);
    change(&mut crowd, 0.25, ms(150));
    assert_eq!(in_ms(&live(&mut crowd, ms(400), &mut links)), [350]);
    change(&mut crowd, 100.0, ms(550));
    let dues = live(&mut crowd, ms(553), &mut links);
    assert_eq!(in_ms(&dues), [550, 551, 552], "half of its thinking was over");
}

#[test]
fn a_pause_holds_users_whatever_their_tempo() {
    let mut links = Links::default();
    let (mut crowd, user) = crowd_of("model = open\nrate = det 10/s", &mut links);
    crowd.on_attached(user, 0, ms(0));
    change(&mut crowd, 2.0, ms(0));
    assert_eq!(in_ms(&live(&mut crowd, ms(60), &mut links)), [50]);
    crowd.line.pause(ms(75));
    crowd.turn(ms(500), &mut links);
    assert_eq!(crowd.totals.intended, 1);
    // Somebody changes the tempo meanwhile.
    change(&mut crowd, 0.5, ms(200));
    crowd.line.resume(ms(500));
    assert_eq!(in_ms(&live(&mut crowd, ms(900), &mut links)), [600, 800]);
}

#[test]
fn a_process_that_starts_anew_comes_to_the_same_moments() {
    let mut links = Links::default();
    let load = "model = open\nrate = poisson 50/s";
    let (mut first, user) = crowd_of(load, &mut links);
    first.on_attached(user, 0, ms(0));
    let mut dues = live(&mut first, ms(1000), &mut links);
    change(&mut first, 8.0, ms(1000));
    dues.extend(live(&mut first, ms(2000), &mut links));
    let (mut second, user) = crowd_of(load, &mut links);
    (second.line, second.tempo) = (first.line.clone(), first.tempo.clone());
    // The issuer knows of all but the last hundred; who died meanwhile asks for them late.
    let known = dues.len() - 100;
    second.on_attached(user, known as u64, ms(3000));
    second.turn(ms(2000), &mut links);
    let again: Vec<Time> = second.unsent.iter().map(|token| second.asks[token].scheduled).collect();
    assert_eq!(again, dues[known..]);
    assert_eq!(first.totals.digest, second.totals.digest);
}

#[test]
fn arrivals_end_when_they_should_at_any_tempo() {
    let mut links = Links::default();
    let (mut crowd, user) = crowd_of("model = open\nrate = det 10/s", &mut links);
    crowd.on_attached(user, 0, ms(0));
    change(&mut crowd, 10.0, ms(0));
    crowd.line.arrivals = Some(Duration::from_millis(50));
    assert_eq!(in_ms(&live(&mut crowd, ms(900), &mut links)), [10, 20, 30, 40]);
    crowd.turn(ms(900), &mut links);
    assert_eq!(crowd.totals.intended, 4, "the fifth would be due as they end");
}

#[test]
fn more_arrivals_than_a_turn_can_take_are_asked_for_in_the_next_ones() {
    let mut links = Links::default();
    let (mut crowd, user) = crowd_of("model = open\nrate = det 10000/s", &mut links);
    crowd.on_attached(user, 0, ms(0));
    change(&mut crowd, 10.0, ms(0));
    crowd.turn(ms(250), &mut links);
    assert_eq!(crowd.totals.intended, limits::ARRIVALS_PER_TURN as u64);
    assert!(crowd.next_due() < ms(250), "another turn follows at once");
    crowd.turn(ms(250), &mut links);
    crowd.turn(ms(250), &mut links);
    assert_eq!(crowd.totals.intended, 25_000);
    let last = crowd.asks.values().map(|asked| asked.scheduled).max();
    assert_eq!(last, Some(ms(250)), "each by its own moment");
}
