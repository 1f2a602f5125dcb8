//! How soon there is a picture, an answer to a key, and the picture of another size.

use std::time::Duration;

use engine::clock::{Clock, SystemClock};

use crate::probe::resident;
use crate::session::{FRAME_END, SIZE, Session, of_peers};
use crate::{Effort, Line, median, millis, quantile};

/// Characters of a picture that is worth being called one.
const CELLS: usize = 80;
/// How long a program may take to settle before it is asked for something.
const SETTLE: Duration = Duration::from_millis(1500);

/// The first byte and the first whole picture.
pub(crate) fn frames(effort: &Effort) -> Vec<Line> {
    let (mut bytes, mut pictures) = (Vec::new(), Vec::new());
    for _ in 0..effort.tries {
        let mut session = Session::office(&[], SIZE);
        let picture = session.first_picture(CELLS).expect("there is a picture");
        let first = session.seen.first().map(|(at, _)| at.since(session.began));
        bytes.push(millis(first.unwrap_or_default()));
        pictures.push(millis(picture));
    }
    let peers = of_peers(|peer, _| peer.first_picture(CELLS).map_or(f64::NAN, millis));
    let (first, whole) = (median(&mut bytes), median(&mut pictures));
    vec![
        Line::new("exec to first byte, 160x45", first, "ms", 12.0),
        Line::new("exec to full first frame, 160x45", whole, "ms", 12.0).beside(peers),
    ]
}

/// From a key to the first byte of what it changes.
pub(crate) fn keys(effort: &Effort) -> Vec<Line> {
    let answers = |session: &mut Session, keys: [&str; 2], tries: usize| -> Vec<f64> {
        session.pass(SETTLE);
        let mut found = Vec::new();
        for number in 0..tries {
            let began = SystemClock.now();
            session.press(keys[number % 2]);
            if let Some(at) = session.take_until(Duration::from_secs(1), |_| true) {
                found.push(millis(at.since(began)));
            }
            session.pass(Duration::from_millis(120));
        }
        found
    };
    let mut session = Session::office(&[], SIZE);
    session.wait_for_running();
    // Standing still, so that what comes is the answer.
    session.press("p");
    let mut found = answers(&mut session, ["?", "?"], effort.tries * 12);
    let peers =
        of_peers(|peer, key| median(&mut answers(peer, [key, "\x1b"], effort.tries.min(10))));
    vec![
        Line::new("key to first byte, median", median(&mut found), "ms", 1.0).beside(peers),
        Line::new("key to first byte, p99", quantile(&mut found, 0.99), "ms", 5.0),
    ]
}

/// From another size to the last byte of its picture.
pub(crate) fn sizes(effort: &Effort) -> Vec<Line> {
    let settle = |session: &mut Session, tries: usize, is_whole: fn(&[u8]) -> bool| -> f64 {
        session.pass(SETTLE);
        let mut found = Vec::new();
        for number in 0..tries {
            let began = SystemClock.now();
            let (columns, rows) = if number % 2 == 0 { (120, 40) } else { SIZE };
            session.resize(columns, rows);
            let since = session.seen.len();
            let mut bytes = Vec::new();
            let at = session.take_until(Duration::from_secs(1), |seen| {
                bytes.extend_from_slice(&seen[seen.len() - 1].1);
                seen.len() > since && is_whole(&bytes)
            });
            found.extend(at.map(|at| millis(at.since(began))));
            session.pass(Duration::from_millis(300));
        }
        median(&mut found)
    };
    let mut session = Session::office(&[], SIZE);
    session.wait_for_running();
    session.press("p");
    let ours = settle(&mut session, effort.tries, |bytes| bytes.ends_with(FRAME_END));
    // They do not say where a picture ends; by so many bytes most of it is there.
    let peers = of_peers(|peer, _| settle(peer, effort.tries.min(6), |bytes| bytes.len() > 1500));
    vec![Line::new("resize to settled, 160x45 and 120x40", ours, "ms", 1.5).beside(peers)]
}

/// Memory of the director with its dashboard, soon after the start.
pub(crate) fn memory(_: &Effort) -> Vec<Line> {
    let mut session = Session::office(&[], SIZE);
    session.wait_for_running();
    session.pass(SETTLE);
    let ours = resident(session.pid());
    let peers = of_peers(|peer, _| {
        peer.pass(SETTLE);
        resident(peer.pid())
    });
    vec![Line::new("resident memory of director and dashboard", ours, "MiB", 16.0).beside(peers)]
}
