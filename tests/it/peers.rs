//! Strangers on the issuer's socket: told why, dropped, and nobody else notices.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use engine::net::frame::{self, ErrorCode};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::control::sample;
use crate::support::{Office, PATIENCE, wait_for};

/// Says something to the issuer and returns why it hung up.
fn refused(office: &Office, bytes: &[u8]) -> ErrorCode {
    let socket = office.data_dir().join("run/issuer.sock");
    let mut stream = UnixStream::connect(socket).expect("the issuer listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
    stream.write_all(bytes).expect("it is read");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the issuer hangs up");
    let frame = frame::decode(&answer, 1000).expect("a frame").expect("a whole one");
    assert_eq!(frame.kind, frame::ERROR_KIND);
    frame::decode_error(frame.payload).expect("an error frame").0
}

#[test]
fn strangers_are_refused_and_the_office_goes_on() {
    let mut office = Office::new();
    office.start(&["-s", "steady"]);
    let issued = office.wait_for_tickets(20);
    let mut ask = Vec::new();
    frame::encode(&mut ask, 3, |out| out.extend_from_slice(&[0; 50]));
    let mut wrong_secret = Vec::new();
    frame::encode(&mut wrong_secret, 1, |out| {
        out.extend_from_slice(&[9; 16]);
        out.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0]);
    });
    let [high, low] = frame::VERSION.to_be_bytes();
    for (bytes, code) in [
        (&[high, low + 1, 1, 0, 0, 0, 0, 0][..], ErrorCode::Version),
        (&[high, low, 1, 0, 255, 255, 255, 255], ErrorCode::Oversized),
        (&[high, low, 1, 7, 0, 0, 0, 0], ErrorCode::Malformed),
        (&[high, low, 1, 0, 0, 0, 0, 2, 1, 2], ErrorCode::Malformed),
        (&ask, ErrorCode::Malformed),
        (&wrong_secret, ErrorCode::BadToken),
        (b"", ErrorCode::HelloExpected),
    ] {
        assert_eq!(refused(&office, bytes), code, "{bytes:?}");
    }
    office.wait_for_tickets(issued + 50);
    let by_reason = json!({
        "version": 1, "oversized": 1, "malformed": 3, "bad_token": 1, "no_hello": 1,
        "too_many": 0, "congested": 0, "other_user": 0,
    });
    wait_for("the reasons", || (sample(&office)["net"][1]["refused"] == by_reason).then_some(()));
    office.signal(Signal::SIGTERM);
    let (code, summary) = office.finish();
    assert_eq!((code, summary["bad_peers"].as_u64()), (128 + 15, Some(7)), "{summary}");
    assert_eq!(office.verify()["ok"], true);
}
