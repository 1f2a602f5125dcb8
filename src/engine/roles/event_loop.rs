//! Drives a role over real sockets: wait, read, feed, act, write.
//!
//! Each turn does a bounded amount of work. Readiness is edge-triggered, so a link that still
//! has input after its share of a turn, or that may not be read at present, is remembered until
//! it is looked at again. A role decides everything; this file decides nothing.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::net::{UnixListener, UnixStream};
use mio::{Events, Token, Waker};

use super::links::{LinkId, Links, Wish};
use crate::clock::{Clock, SystemClock, Time};
use crate::limits;
use crate::net::connection::{ConnectionLimits, Inbox};
use crate::net::frame::{ErrorCode, Frame, FrameError};
use crate::net::message::NetTotals;
use crate::net::poller::Poller;
use crate::net::stream::{self, Fill};
use crate::net::wire::DecodeError;
use crate::perf::histogram::InvalidHistogram;
use crate::{count, timed};

/// What one process does.
pub trait Role {
    /// A whole frame came.
    ///
    /// # Errors
    /// [`Refusal`] if the frame is not one that the peer may send; the peer is told and dropped.
    fn frame(
        &mut self,
        link: LinkId,
        frame: &Frame<'_>,
        now: Time,
        links: &mut Links,
    ) -> Result<(), Refusal>;

    /// A peer connected.
    fn accepted(&mut self, _link: LinkId, _now: Time, _links: &mut Links) {}

    /// A peer has gone, or was dropped for breaking the protocol.
    fn closed(&mut self, link: LinkId, reason: Closed, now: Time, links: &mut Links);

    /// All input of this turn has been given; also called after each wake-up and deadline.
    fn turn(&mut self, now: Time, links: &mut Links) -> Next;

    /// When to call [`Self::turn`] even if nothing happens.
    fn deadline(&self) -> Time;
}

/// What a role wants after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Wait for input or the deadline.
    Wait,
    /// Take another turn as soon as input has been read.
    Again,
    /// End the process with this exit code once what was sent has left.
    Exit(u8),
}

/// Why a peer is told to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason's number.
    pub code: ErrorCode,
    /// The reason in words.
    pub text: String,
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        Self { code: ErrorCode::Malformed, text: error.to_string() }
    }
}

impl From<InvalidHistogram> for Refusal {
    fn from(error: InvalidHistogram) -> Self {
        Self { code: ErrorCode::Malformed, text: error.to_string() }
    }
}

impl From<FrameError> for Refusal {
    fn from(error: FrameError) -> Self {
        let code = match error {
            FrameError::Version { .. } => ErrorCode::Version,
            FrameError::TooLong { .. } => ErrorCode::Oversized,
            FrameError::Flags { .. } => ErrorCode::Malformed,
        };
        Self { code, text: error.to_string() }
    }
}

/// Why a link closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The peer closed it, or it could not be reached.
    ByPeer,
    /// The peer broke the protocol and was told so.
    Refused,
    /// The peer does not read what it is sent.
    Congested,
}

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
/// One turn in so many is timed: a busy loop turns every few microseconds.
const TURNS_PER_TIMED: u32 = 16;
/// How long accepting rests when it fails for want of descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// How long the last words of a process may take to leave.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The sockets of one process.
pub struct EventLoop {
    poller: Poller,
    links: Links,
    /// By index of the link.
    streams: Vec<Option<UnixStream>>,
    listener: Option<(UnixListener, ConnectionLimits)>,
    accept_at: Time,
    /// Times in a row that the system would not accept a connection.
    accepts_refused: u64,
    waker: Arc<Waker>,
    clock: SystemClock,
}

impl EventLoop {
    /// Returns a loop without connections.
    ///
    /// # Errors
    /// Whatever the system says when it has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let poller = Poller::new()?;
        let waker = Arc::new(poller.waker(WAKER)?);
        Ok(Self {
            poller,
            links: Links::default(),
            streams: Vec::new(),
            listener: None,
            accept_at: Time::NEVER,
            accepts_refused: 0,
            waker,
            clock: SystemClock,
        })
    }

    /// Returns what makes the loop take a turn, from any thread.
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Returns the loop's connections, to add the first ones.
    pub fn links(&mut self) -> &mut Links {
        &mut self.links
    }

    /// Runs a role until it ends, and returns its exit code.
    ///
    /// # Errors
    /// Whatever the system says when it can't poll.
    pub fn run(&mut self, role: &mut impl Role) -> io::Result<u8> {
        let mut events = Events::with_capacity(256);
        let mut again = true;
        let mut turns = 0;
        loop {
            self.grant_wishes(role);
            let deadline = role.deadline().min(self.accept_at);
            let busy = again || !self.links.to_read.is_empty();
            self.poller.wait(deadline, busy, &mut events)?;
            self.links.counts.turns += 1;
            turns = (turns + 1) % TURNS_PER_TIMED;
            let next = if turns == 0 {
                timed!(LOOP_TURN, self.turn(&events, role))
            } else {
                self.turn(&events, role)
            };
            match next {
                Next::Wait => again = false,
                Next::Again => again = true,
                Next::Exit(code) => {
                    self.say_last_words(role);
                    return Ok(code);
                }
            }
        }
    }

    fn turn(&mut self, events: &Events, role: &mut impl Role) -> Next {
        self.take_events(events, role);
        self.read_ready(role);
        let next = role.turn(self.clock.now(), &mut self.links);
        self.grant_wishes(role);
        self.flush_dirty(role);
        self.close_closing();
        next
    }

    fn take_events(&mut self, events: &Events, role: &mut impl Role) {
        for event in events {
            match event.token() {
                WAKER => {}
                LISTENER => self.accept(role),
                Token(index) => {
                    let Some(id) = self.links.at(index) else {
                        continue;
                    };
                    if event.is_readable() || event.is_read_closed() || event.is_error() {
                        if let Some(link) = self.links.get_mut(id) {
                            link.has_input = true;
                            link.has_ended |= event.is_read_closed() || event.is_error();
                        }
                        self.links.resume(id);
                    }
                    if event.is_writable() {
                        self.flush(id, role);
                    }
                }
            }
        }
        if self.accept_at <= self.clock.now() {
            self.accept_at = Time::NEVER;
            self.accept(role);
        }
    }

    fn accept(&mut self, role: &mut impl Role) {
        while let Some((listener, bounds)) = &self.listener {
            match listener.accept() {
                // The directory is private; this is for a privileged stranger's mistake.
                Ok((stream, _)) if !stream::is_own_user(&stream) => {
                    self.links.counts.refused.other_user += 1;
                    log::warn!("a connection of another user is refused");
                }
                Ok((stream, _)) => {
                    let bounds = *bounds;
                    if self.accepts_refused > 0 {
                        let times = std::mem::take(&mut self.accepts_refused);
                        log::info!("connections are accepted again: refused_times={times}");
                    }
                    let id = self.links.insert(bounds);
                    self.carry(id, stream, role);
                    role.accepted(id, self.clock.now(), &mut self.links);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if self.accepts_refused == 0 {
                        log::warn!("can not accept connections; trying on: error={error}");
                    }
                    self.accepts_refused += 1;
                    self.accept_at = self.clock.now() + ACCEPT_REST;
                    return;
                }
            }
        }
    }

    fn grant_wishes(&mut self, role: &mut impl Role) {
        while let Some(wish) = self.links.wishes.pop_front() {
            match wish {
                Wish::Adopt(id, stream) => self.carry(id, stream, role),
                Wish::Connect(id, path) => match UnixStream::connect(&path) {
                    Ok(stream) => self.carry(id, stream, role),
                    Err(_) => self.drop_link(id, Closed::ByPeer, role),
                },
                Wish::Listen(mut listener, bounds) => {
                    match self.poller.register(&mut listener, LISTENER) {
                        Ok(()) => self.listener = Some((listener, bounds)),
                        Err(error) => log::error!("can not listen: error={error}"),
                    }
                    self.accept(role);
                }
            }
        }
    }

    fn carry(&mut self, id: LinkId, mut stream: UnixStream, role: &mut impl Role) {
        let index = Links::index(id);
        if let Err(error) = self.poller.register(&mut stream, Token(index)) {
            log::error!("can not watch a connection: error={error}");
            return self.drop_link(id, Closed::ByPeer, role);
        }
        if self.streams.len() <= index {
            self.streams.resize_with(index + 1, || None);
        }
        self.streams[index] = Some(stream);
        if let Some(link) = self.links.get_mut(id) {
            link.has_input = true;
        }
        self.links.resume(id);
    }

    /// Reads from each link that was ready when the turn began.
    fn read_ready(&mut self, role: &mut impl Role) {
        for _ in 0..self.links.to_read.len() {
            let Some(id) = self.links.to_read.pop_front() else {
                return;
            };
            let Some(link) = self.links.get_mut(id) else {
                continue;
            };
            link.is_queued = false;
            let Some(stream) = &mut self.streams[Links::index(id)] else {
                continue;
            };
            let mut inbox = std::mem::take(&mut link.connection.inbox);
            let payload_max = link.connection.payload_max();
            let unread = inbox.unread();
            let filled = stream::fill(stream, &mut inbox, limits::READ_BYTES_PER_TURN);
            self.links.counts.bytes_in += (inbox.unread() - unread) as u64;
            let now = self.clock.now();
            let fed = feed(role, id, &mut inbox, payload_max, now, &mut self.links);
            let Some(link) = self.links.get_mut(id) else {
                continue;
            };
            link.connection.inbox = inbox;
            // No event follows the end, so the rest is read until it is seen.
            let filled = match filled {
                Ok(Fill::Drained) if link.has_ended => Ok(Fill::Budget),
                filled => filled,
            };
            link.has_input = !matches!((&fed, &filled), (Ok(Fed::All), Ok(Fill::Drained)));
            match (fed, filled) {
                (Err(refusal), _) => {
                    self.links.refuse(id, refusal.code, &refusal.text);
                    role.closed(id, Closed::Refused, now, &mut self.links);
                }
                (Ok(Fed::Stopped), _) | (Ok(Fed::All), Ok(Fill::Drained)) => {}
                (Ok(Fed::All), Ok(Fill::Budget)) => self.links.resume(id),
                (Ok(Fed::All), Ok(Fill::Eof) | Err(_)) => {
                    self.drop_link(id, Closed::ByPeer, role);
                }
            }
        }
    }

    fn flush_dirty(&mut self, role: &mut impl Role) {
        let NetTotals { outbox_bytes, outbox_bytes_max, .. } = &mut self.links.counts;
        *outbox_bytes_max = (*outbox_bytes_max).max(*outbox_bytes);
        let mut dirty = std::mem::take(&mut self.links.dirty);
        for id in dirty.drain(..) {
            self.links.mark_clean(id);
            self.flush(id, role);
        }
        if self.links.dirty.is_empty() {
            self.links.dirty = dirty;
        }
    }

    fn flush(&mut self, id: LinkId, role: &mut impl Role) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let Some(Some(stream)) = self.streams.get_mut(Links::index(id)) else {
            return;
        };
        let queued = link.connection.outbox.pending().len();
        let flushed = stream::flush(stream, &mut link.connection.outbox);
        let bytes = queued - link.connection.outbox.pending().len();
        let is_closing = link.connection.is_closing();
        let has_left = is_closing && !link.connection.wants_write();
        let is_over = link.connection.outbox.is_over();
        self.links.sent(bytes as u64);
        if flushed.is_err() {
            // A role that refused a peer has been told of its end already.
            if is_closing {
                self.remove(id);
            } else {
                self.drop_link(id, Closed::ByPeer, role);
            }
        } else if has_left {
            self.remove(id);
        } else if is_over {
            self.links.counts.refused.congested += 1;
            self.drop_link(id, Closed::Congested, role);
        } else {
            self.links.resume(id);
        }
    }

    fn close_closing(&mut self) {
        while let Some(id) = self.links.closing.pop() {
            self.remove(id);
        }
    }

    fn drop_link(&mut self, id: LinkId, reason: Closed, role: &mut impl Role) {
        if self.remove(id) {
            role.closed(id, reason, self.clock.now(), &mut self.links);
        }
    }

    fn remove(&mut self, id: LinkId) -> bool {
        if !self.links.remove(id) {
            return false;
        }
        if let Some(Some(mut stream)) = self.streams.get_mut(Links::index(id)).map(Option::take) {
            self.poller.deregister(&mut stream);
        }
        true
    }

    /// Gives what is still unsent a little time to leave.
    fn say_last_words(&mut self, role: &mut impl Role) {
        let until = self.clock.now() + LAST_WORDS;
        let mut events = Events::with_capacity(64);
        while self.clock.now() < until {
            let unsent: Vec<LinkId> = (0..self.streams.len())
                .filter_map(|index| self.links.at(index))
                .filter(|&id| !self.links.is_flushed(id))
                .collect();
            if unsent.is_empty() || self.poller.wait(until, false, &mut events).is_err() {
                return;
            }
            for id in unsent {
                self.flush(id, role);
            }
        }
    }
}

/// How far the frames of an inbox were given to the role.
enum Fed {
    /// All whole frames.
    All,
    /// The role stopped reading before the last.
    Stopped,
}

fn feed(
    role: &mut impl Role,
    id: LinkId,
    inbox: &mut Inbox,
    payload_max: u32,
    now: Time,
    links: &mut Links,
) -> Result<Fed, Refusal> {
    let mut frames = 0;
    let fed = loop {
        let reads = links.get(id).is_some_and(|link| link.is_read);
        if !reads {
            break Ok(Fed::Stopped);
        }
        let frame = match inbox.next_frame(payload_max) {
            Ok(Some(frame)) => frame,
            Ok(None) => break Ok(Fed::All),
            Err(error) => break Err(error.into()),
        };
        frames += 1;
        if let Err(refusal) = role.frame(id, &frame, now, links) {
            break Err(refusal);
        }
    };
    count!(LOOP_READ_FRAMES, frames);
    links.heard(id, frames);
    fed
}
