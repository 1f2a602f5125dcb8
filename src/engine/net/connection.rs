//! One connection as bytes: what came and is not read yet, what is to be sent and has not left.
//!
//! Both buffers are reused and bounded: the inbox holds at most one frame beyond what one read
//! brings, and the outbox has watermarks: above the high one its peer is no longer read, beyond
//! the hard one the peer is given up.

use super::frame::{self, ErrorCode, Frame, FrameError, HEADER_BYTES};
use super::wire::Message;
use crate::limits;

/// The bounds of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// The longest payload of a frame that is read.
    pub payload_max: u32,
    /// Queued bytes above which the peer is no longer read.
    pub outbox_high: u32,
    /// Queued bytes beyond which the peer is given up.
    pub outbox_max: u32,
}

/// Bytes that came and have not been read as frames.
#[derive(Debug, Default)]
pub struct Inbox {
    buf: Vec<u8>,
    start: usize,
    end: usize,
}

/// Room that each read is offered at least.
const READ_BYTES: usize = 64 * 1024;

impl Inbox {
    /// Returns room for bytes to be read into; say with [`Self::filled`] how many came.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            // A frame that needed more room has passed.
            if self.buf.len() > READ_BYTES {
                self.buf.truncate(READ_BYTES);
                self.buf.shrink_to_fit();
            }
        }
        if self.buf.len() - self.end < READ_BYTES / 2 {
            self.buf.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.buf.len() - self.end < READ_BYTES / 2 {
                // Only a frame that is not whole yet stays, so a frame's bound bounds this.
                self.buf.resize(self.end + READ_BYTES, 0);
            }
        }
        &mut self.buf[self.end..]
    }

    /// Takes note that bytes were read into [`Self::space`].
    pub fn filled(&mut self, bytes: usize) {
        self.end += bytes;
        assert!(self.end <= self.buf.len(), "no more comes than there was room for");
    }

    /// Returns the next whole frame.
    ///
    /// # Errors
    /// [`FrameError`] if what follows can't be a frame.
    #[inline]
    pub fn next_frame(&mut self, payload_max: u32) -> Result<Option<Frame<'_>>, FrameError> {
        let frame = frame::decode(&self.buf[self.start..self.end], payload_max)?;
        if let Some(frame) = &frame {
            self.start += frame.bytes();
        }
        Ok(frame)
    }

    /// Returns how many bytes came that have not been read as frames.
    pub fn unread(&self) -> usize {
        self.end - self.start
    }

    /// Returns how many bytes are held in memory.
    pub fn capacity(&self) -> usize {
        self.buf.capacity()
    }
}

/// Frames that have not left yet.
#[derive(Debug)]
pub struct Outbox {
    buf: Vec<u8>,
    sent: usize,
    is_high: bool,
    high: usize,
    max: usize,
}

impl Outbox {
    fn new(high: u32, max: u32) -> Self {
        Self { buf: Vec::new(), sent: 0, is_high: false, high: high as usize, max: max as usize }
    }

    /// Returns the bytes that have not left.
    pub fn pending(&self) -> &[u8] {
        &self.buf[self.sent..]
    }

    /// Takes note that bytes have left.
    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
        assert!(self.sent <= self.buf.len(), "no more leaves than there was");
        if self.sent == self.buf.len() {
            self.buf.clear();
            self.sent = 0;
            if self.buf.capacity() > 2 * self.high {
                self.buf.shrink_to(self.high);
            }
        } else if self.sent > self.high {
            self.buf.drain(..self.sent);
            self.sent = 0;
        }
        if self.pending().len() <= self.high / limits::OUTBOX_LOW_DIVISOR as usize {
            self.is_high = false;
        }
    }

    /// Returns whether so much waits that the peer should not be read: from above the high
    /// watermark until below the low one.
    pub fn is_high(&self) -> bool {
        self.is_high
    }

    /// Returns whether so much waits that the peer should be given up.
    pub fn is_over(&self) -> bool {
        self.pending().len() > self.max
    }

    #[inline]
    fn push(&mut self, kind: u8, put_payload: impl FnOnce(&mut Vec<u8>)) {
        frame::encode(&mut self.buf, kind, put_payload);
        self.is_high |= self.buf.len() - self.sent > self.high;
    }
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    /// What came.
    pub inbox: Inbox,
    /// What is to be sent.
    pub outbox: Outbox,
    payload_max: u32,
    is_closing: bool,
}

impl Connection {
    /// Returns a connection on which nothing has passed.
    pub fn new(bounds: ConnectionLimits) -> Self {
        Self {
            inbox: Inbox::default(),
            outbox: Outbox::new(bounds.outbox_high, bounds.outbox_max),
            payload_max: bounds.payload_max,
            is_closing: false,
        }
    }

    /// Returns the longest payload that is read.
    pub fn payload_max(&self) -> u32 {
        self.payload_max
    }

    /// Queues a message, unless the connection is being closed.
    #[inline]
    pub fn send<'m>(&mut self, message: &impl Message<'m>) {
        if !self.is_closing {
            self.outbox.push(message.kind(), |out| message.put_payload(out));
        }
    }

    /// Queues the reason why the peer is dropped; nothing follows it.
    pub fn refuse(&mut self, code: ErrorCode, text: &str) {
        if !self.is_closing {
            frame::encode_error(&mut self.outbox.buf, code, text);
            self.is_closing = true;
        }
    }

    /// Returns whether the connection is to be closed once all has left.
    pub fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Returns whether the peer should be read.
    pub fn wants_read(&self) -> bool {
        !self.is_closing && !self.outbox.is_high()
    }

    /// Returns whether bytes have not left.
    pub fn wants_write(&self) -> bool {
        !self.outbox.pending().is_empty()
    }
}

/// Reads arbitrary bytes as a peer's stream, as a fuzzer does: the input's first byte is how
/// many bytes come at a time. Returns how many frames were whole.
pub fn fuzz_frames(data: &[u8]) -> usize {
    const PAYLOAD_MAX: u32 = 1 << 16;
    let Some((&step, data)) = data.split_first() else {
        return 0;
    };
    let (mut inbox, mut frames) = (Inbox::default(), 0);
    for chunk in data.chunks(usize::from(step) + 1) {
        inbox.space()[..chunk.len()].copy_from_slice(chunk);
        inbox.filled(chunk.len());
        loop {
            match inbox.next_frame(PAYLOAD_MAX) {
                Ok(Some(_)) => frames += 1,
                Ok(None) => break,
                Err(_) => return frames,
            }
        }
        let most = PAYLOAD_MAX as usize + HEADER_BYTES + 2 * READ_BYTES;
        assert!(inbox.capacity() <= most, "a peer can't make the inbox grow");
    }
    frames
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Time;
    use crate::ids::{ServiceId, TicketId, UserId};
    use crate::net::message::{Ask, Done, IssuerToUser, UserToIssuer};

    const BOUNDS: ConnectionLimits =
        ConnectionLimits { payload_max: 70_000, outbox_high: 1000, outbox_max: 5000 };

    fn ask(seq: u64, payload: &[u8]) -> UserToIssuer<'_> {
        UserToIssuer::Ask(Ask {
            user: UserId(7),
            seq,
            service: ServiceId(1),
            demand_ns: 2,
            scheduled: Time(3),
            submitted: Time(4),
            payload,
        })
    }

    fn feed(inbox: &mut Inbox, bytes: &[u8]) {
        inbox.space()[..bytes.len()].copy_from_slice(bytes);
        inbox.filled(bytes.len());
    }

    proptest! {
        #[test]
        fn messages_survive_any_split_of_their_bytes(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..20),
            steps in prop::collection::vec(1usize..9000, 1..50),
        ) {
            let mut sender = Connection::new(ConnectionLimits { outbox_max: u32::MAX, ..BOUNDS });
            for (seq, payload) in (0..).zip(&payloads) {
                sender.send(&ask(seq, payload));
            }
            let (mut inbox, mut received, mut rest) = (Inbox::default(), 0, sender.outbox.pending());
            for &step in steps.iter().cycle() {
                let (chunk, left) = rest.split_at(step.min(rest.len()));
                rest = left;
                feed(&mut inbox, chunk);
                while let Some(frame) = inbox.next_frame(BOUNDS.payload_max).unwrap() {
                    let message = UserToIssuer::decode(frame.kind, frame.payload).unwrap();
                    prop_assert_eq!(message, ask(received, &payloads[usize::try_from(received).unwrap()]));
                    received += 1;
                }
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(received, payloads.len() as u64);
        }

        #[test]
        fn garbage_is_refused_without_panic_or_growth(data: Vec<u8>) {
            fuzz_frames(&data);
        }

        #[test]
        fn mutated_frames_are_refused_or_read(
            payload in prop::collection::vec(any::<u8>(), 0..200), at: usize, flip in 1u8..,
        ) {
            let mut connection = Connection::new(BOUNDS);
            connection.send(&ask(1, &payload));
            let mut bytes = connection.outbox.pending().to_vec();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            let mut inbox = Inbox::default();
            feed(&mut inbox, &bytes);
            if let Ok(Some(frame)) = inbox.next_frame(BOUNDS.payload_max) {
                let _ = UserToIssuer::decode(frame.kind, frame.payload);
                let _ = IssuerToUser::decode(frame.kind, frame.payload);
            }
        }
    }

    #[test]
    fn a_large_frame_leaves_no_large_inbox_behind() {
        let mut connection = Connection::new(ConnectionLimits { outbox_max: u32::MAX, ..BOUNDS });
        let payload = vec![1; 60_000];
        for seq in 0..3 {
            connection.send(&ask(seq, &payload));
        }
        let mut inbox = Inbox::default();
        for chunk in connection.outbox.pending().chunks(30_000) {
            feed(&mut inbox, chunk);
            while inbox.next_frame(BOUNDS.payload_max).unwrap().is_some() {}
        }
        inbox.space();
        assert_eq!(inbox.capacity(), READ_BYTES);
    }

    #[test]
    fn reading_pauses_between_the_watermarks() {
        let mut connection = Connection::new(BOUNDS);
        let done =
            IssuerToUser::Done(Done { user: UserId(1), seq: 1, id: TicketId(1), outcome: 1 });
        while connection.wants_read() {
            connection.send(&done);
        }
        let high = connection.outbox.pending().len();
        assert!(high > 1000 && high < 1100);
        connection.outbox.sent(high - 300);
        assert!(!connection.wants_read(), "hysteresis");
        connection.outbox.sent(60);
        assert!(connection.wants_read() && connection.outbox.pending().len() == 240);
        while !connection.outbox.is_over() {
            connection.send(&done);
        }
        assert!(connection.outbox.pending().len() > 5000);
    }

    #[test]
    fn nothing_follows_a_refusal() {
        let mut connection = Connection::new(BOUNDS);
        connection.refuse(ErrorCode::Oversized, "too long");
        let told = connection.outbox.pending().len();
        connection.send(&ask(1, b""));
        connection.refuse(ErrorCode::Malformed, "again");
        assert!(connection.is_closing() && !connection.wants_read() && connection.wants_write());
        connection.outbox.sent(told);
        assert!(!connection.wants_write());
    }
}
