//! Frames against copying, and the event loop against bare sockets.

use std::hint::black_box;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use engine::bench::{now, seconds_since};
use engine::clock::Time;
use engine::ids::{ServiceId, TicketId, UserId};
use engine::limits;
use engine::net::connection::{Connection, ConnectionLimits, Inbox};
use engine::net::frame::Frame;
use engine::net::message::{Ask, Done, IssuerToUser, UserToIssuer};
use engine::net::wire::Message;
use engine::roles::event_loop::{Closed, EventLoop, Next, Refusal, Role};
use engine::roles::links::{LinkId, Links};

use super::exchange::{self, Answered, Asking, Tally};
use super::limit::Split;
use super::report::{Group, Row, Sample, Told, Unit};
use super::{Bench, BenchError, Subject};

/// The payload of a request.
const PAYLOAD: [u8; 64] = [b'.'; 64];
/// Messages that are encoded before they are decoded.
const BATCH: u64 = 64;
/// The bounds of an office's connections.
const BOUNDS: ConnectionLimits = ConnectionLimits {
    payload_max: limits::FRAME_BYTES_MAX,
    outbox_high: limits::OUTBOX_BYTES_HIGH,
    outbox_max: limits::OUTBOX_BYTES_MAX,
};

/// Measures all rows.
pub(super) fn measure(bench: &Bench) -> Result<Group, BenchError> {
    let mut rows = vec![codec(bench)?];
    for (name, slots) in [("round trips, 1 under way", 1), ("round trips, 64 under way", 64)] {
        rows.push(round_trips(bench, name, slots)?);
    }
    let floor = "the same bytes copied as often; two threads with a socket, blocking reads and \
                 writes of the same lengths, nothing decoded";
    Ok(Group { subject: Subject::Net, floor, rows, told: Told::Farthest })
}

fn request(seq: u64) -> UserToIssuer<'static> {
    UserToIssuer::Ask(Ask {
        user: UserId(1),
        seq,
        service: ServiceId(0),
        demand_ns: 0,
        scheduled: Time(seq),
        submitted: Time(seq),
        payload: &PAYLOAD,
    })
}

fn codec(bench: &Bench) -> Result<Row, BenchError> {
    let name = "requests encoded and decoded";
    let mut sender = Connection::new(BOUNDS);
    let mut inbox = Inbox::default();
    let (mut out, mut into) = (Vec::new(), vec![0; 64 * 1024]);
    let measured = bench.compare(
        Subject::Net,
        name,
        bench.turns(),
        |window| Ok(batches(window, |first| encode_and_decode(&mut sender, &mut inbox, first))),
        |window| Ok(batches(window, |first| copy_twice(&mut out, &mut into, first))),
    )?;
    let split =
        Split { per: "request", machine: "copying its bytes", own: "encoding and decoding" };
    let limit = split.tell_rates(measured.product.value, measured.floor.value);
    Ok(measured.row(name, Unit::PerSecond("requests"), limit))
}

/// Returns messages per second, where `run` handles a batch from a number on.
fn batches(window: Duration, mut run: impl FnMut(u64)) -> Sample {
    let (began, mut count) = (now(), 0);
    while now().since(began) < window {
        run(count);
        count += BATCH;
    }
    Sample { value: count as f64 / seconds_since(began), spread: None }
}

fn encode_and_decode(sender: &mut Connection, inbox: &mut Inbox, first: u64) {
    for seq in first..first + BATCH {
        sender.send(&request(seq));
    }
    let pending = sender.outbox.pending();
    let bytes = pending.len();
    inbox.space()[..bytes].copy_from_slice(pending);
    inbox.filled(bytes);
    sender.outbox.sent(bytes);
    while let Some(frame) = inbox.next_frame(BOUNDS.payload_max).expect("it was just encoded") {
        let message = UserToIssuer::decode(frame.kind, frame.payload);
        black_box(message).expect("it was just encoded");
    }
}

/// Once into an outbox and once into an inbox.
fn copy_twice(out: &mut Vec<u8>, into: &mut [u8], first: u64) {
    out.clear();
    for seq in first..first + BATCH {
        let mut ask = [0; exchange::ASK_BYTES];
        ask[..8].copy_from_slice(&seq.to_be_bytes());
        out.extend_from_slice(&black_box(ask));
    }
    into[..out.len()].copy_from_slice(out);
    black_box(into);
}

fn round_trips(bench: &Bench, name: &str, slots: u32) -> Result<Row, BenchError> {
    let asking = |window| Asking { slots, warmup: window / 10, window: window - window / 10 };
    let measured = bench.compare(
        Subject::Net,
        name,
        bench.turns(),
        |window| in_event_loops(asking(window)).map(sample),
        |window| in_threads(asking(window)).map(sample),
    )?;
    let split = Split {
        per: "round trip",
        machine: "the kernel's sockets and wake-ups",
        own: "the event loop",
    };
    let limit = split.tell_rates(measured.product.value, measured.floor.value);
    Ok(measured.row(name, Unit::PerSecond("round trips"), limit))
}

fn sample(answered: Answered) -> Sample {
    Sample { value: answered.per_second(), spread: answered.latencies.spread() }
}

fn pair() -> Result<(UnixStream, UnixStream), BenchError> {
    UnixStream::pair().map_err(|source| BenchError::Start { source })
}

/// One thread asks, the other answers.
fn in_threads(asking: Asking) -> Result<Answered, BenchError> {
    let (mut asks, mut answers) = pair()?;
    std::thread::scope(|scope| {
        scope.spawn(move || exchange::answer(&mut answers));
        let answered = exchange::ask(&mut asks, asking);
        // Ends the other thread.
        drop(asks);
        answered.map_err(ended)
    })
}

fn ended(error: std::io::Error) -> BenchError {
    BenchError::Ended { what: "a conversation", why: error.to_string() }
}

/// The same with the product's event loop on both sides.
fn in_event_loops(asking: Asking) -> Result<Answered, BenchError> {
    let (asks, answers) = pair()?;
    std::thread::scope(|scope| {
        scope.spawn(move || run_role(answers, |_| Echo { has_ended: false }));
        let (_, asker) = run_role(asks, |link| Asker {
            link,
            slots: asking.slots,
            tally: Tally::begin(asking, now()),
            has_begun: false,
            has_ended: false,
        })
        .map_err(ended)?;
        if asker.tally.is_over() {
            Ok(asker.tally.into_answered())
        } else {
            Err(ended(std::io::ErrorKind::UnexpectedEof.into()))
        }
    })
}

/// Runs a role over one socket to its end and returns it.
fn run_role<R: Role>(
    stream: UnixStream,
    role: impl FnOnce(LinkId) -> R,
) -> std::io::Result<(u8, R)> {
    stream.set_nonblocking(true)?;
    let mut event_loop = EventLoop::new()?;
    let link = event_loop.links().adopt(mio::net::UnixStream::from_std(stream), BOUNDS);
    let mut role = role(link);
    let code = event_loop.run(&mut role)?;
    Ok((code, role))
}

/// Answers requests until the peer goes.
struct Echo {
    has_ended: bool,
}

impl Role for Echo {
    fn frame(
        &mut self,
        link: LinkId,
        frame: &Frame<'_>,
        _now: Time,
        links: &mut Links,
    ) -> Result<(), Refusal> {
        if let UserToIssuer::Ask(ask) = UserToIssuer::decode(frame.kind, frame.payload)? {
            let Ask { user, seq, .. } = ask;
            links
                .send(link, &IssuerToUser::Done(Done { user, seq, id: TicketId(seq), outcome: 0 }));
        }
        Ok(())
    }

    fn closed(&mut self, _link: LinkId, _reason: Closed, _now: Time, _links: &mut Links) {
        self.has_ended = true;
    }

    fn turn(&mut self, _now: Time, _links: &mut Links) -> Next {
        if self.has_ended { Next::Exit(0) } else { Next::Wait }
    }

    fn deadline(&self) -> Time {
        Time::NEVER
    }
}

/// Asks until the time is over.
struct Asker {
    link: LinkId,
    slots: u32,
    tally: Tally,
    has_begun: bool,
    has_ended: bool,
}

impl Role for Asker {
    fn frame(
        &mut self,
        link: LinkId,
        frame: &Frame<'_>,
        now: Time,
        links: &mut Links,
    ) -> Result<(), Refusal> {
        if let IssuerToUser::Done(done) = IssuerToUser::decode(frame.kind, frame.payload)?
            && self.tally.take(u32::try_from(done.seq).unwrap_or(u32::MAX), now)
        {
            links.send(link, &request(done.seq));
        }
        Ok(())
    }

    fn closed(&mut self, _link: LinkId, _reason: Closed, _now: Time, _links: &mut Links) {
        self.has_ended = true;
    }

    fn turn(&mut self, _now: Time, links: &mut Links) -> Next {
        if !self.has_begun {
            self.has_begun = true;
            (0..self.slots).for_each(|slot| links.send(self.link, &request(slot.into())));
        }
        if self.tally.is_over() || self.has_ended { Next::Exit(0) } else { Next::Wait }
    }

    fn deadline(&self) -> Time {
        Time::NEVER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_carries_frames_of_the_same_length() {
        let bytes = |connection: &Connection| connection.outbox.pending().len();
        let mut connection = Connection::new(BOUNDS);
        connection.send(&request(1));
        assert_eq!(bytes(&connection), exchange::ASK_BYTES);
        let mut connection = Connection::new(BOUNDS);
        let id = TicketId(1);
        connection.send(&IssuerToUser::Done(Done { user: UserId(1), seq: 1, id, outcome: 0 }));
        assert_eq!(bytes(&connection), exchange::ANSWER_BYTES);
    }

    #[test]
    fn event_loops_and_threads_ask_until_the_time_is_over() {
        let asking = Asking {
            slots: 3,
            warmup: Duration::from_millis(1),
            window: Duration::from_millis(20),
        };
        for answered in [in_event_loops(asking), in_threads(asking)] {
            assert_eq!(answered.unwrap().window, asking.window);
        }
    }

    #[test]
    fn a_batch_is_encoded_and_decoded_whole() {
        let (mut sender, mut inbox) = (Connection::new(BOUNDS), Inbox::default());
        encode_and_decode(&mut sender, &mut inbox, 0);
        assert!(sender.outbox.pending().is_empty());
        assert_eq!(inbox.next_frame(BOUNDS.payload_max), Ok(None));
    }
}
