//! Users without sockets: what they ask and when.

use super::*;
use crate::config;
use crate::net::message::UsersConfig;

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
