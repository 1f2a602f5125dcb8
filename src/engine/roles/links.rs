//! The connections of one process, as a role sees them: bytes and messages, no sockets.
//!
//! A [`LinkId`] carries a generation, so a message to a peer that has gone goes nowhere instead
//! of to whoever came after it. What needs a socket (adopting, connecting, listening) is written
//! down here and done by the event loop.

use std::collections::VecDeque;
use std::path::PathBuf;

use mio::net::{UnixListener, UnixStream};

use crate::limits;
use crate::net::connection::{Connection, ConnectionLimits};
use crate::net::frame::ErrorCode;
use crate::net::message::NetTotals;
use crate::net::wire::Message;

/// One connection of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId {
    index: u32,
    generation: u32,
}

/// What the event loop must do for a role.
#[derive(Debug)]
pub(super) enum Wish {
    /// Carry the bytes of a stream that exists.
    Adopt(LinkId, UnixStream),
    /// Connect to a socket.
    Connect(LinkId, PathBuf),
    /// Accept connections, each with these bounds.
    Listen(UnixListener, ConnectionLimits),
}

/// One connection and what the event loop knows of it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) connection: Connection,
    /// The role reads from it.
    pub(super) is_read: bool,
    /// The kernel or the inbox has bytes that were not looked at.
    pub(super) has_input: bool,
    /// The peer has ended its side; what it said before may still be unread.
    pub(super) has_ended: bool,
    /// The peer has said something.
    pub(super) has_spoken: bool,
    /// It stands in the queue of links to look at.
    pub(super) is_queued: bool,
    /// It stands in the list of links to flush.
    is_dirty: bool,
}

/// All connections of one process.
#[derive(Debug, Default)]
pub struct Links {
    slots: Vec<(u32, Option<Link>)>,
    free: Vec<u32>,
    pub(super) dirty: Vec<LinkId>,
    pub(super) closing: Vec<LinkId>,
    pub(super) wishes: VecDeque<Wish>,
    pub(super) to_read: VecDeque<LinkId>,
    /// All but the connections, which are counted when somebody asks.
    pub(super) counts: NetTotals,
}

/// One value per link, found by index.
#[derive(Debug)]
pub struct PerLink<T> {
    values: Vec<Option<(LinkId, T)>>,
}

impl<T> Default for PerLink<T> {
    fn default() -> Self {
        Self { values: Vec::new() }
    }
}

impl<T> PerLink<T> {
    /// Returns the value of a link.
    pub fn get(&self, id: LinkId) -> Option<&T> {
        match self.values.get(Links::index(id)) {
            Some(Some((owner, value))) if *owner == id => Some(value),
            _ => None,
        }
    }

    /// Gives a link a value, in place of the one that it has.
    pub fn insert(&mut self, id: LinkId, value: T) {
        let index = Links::index(id);
        if self.values.len() <= index {
            self.values.resize_with(index + 1, || None);
        }
        self.values[index] = Some((id, value));
    }

    /// Takes a link's value away.
    pub fn remove(&mut self, id: LinkId) -> Option<T> {
        let entry = self.values.get_mut(Links::index(id))?;
        entry.take_if(|(owner, _)| *owner == id).map(|(_, value)| value)
    }

    /// Returns all links that have a value, with it.
    pub fn iter(&self) -> impl Iterator<Item = (LinkId, &T)> {
        self.values.iter().flatten().map(|(id, value)| (*id, value))
    }
}

/// The bounds of a connection on the control plane.
pub const CONTROL_LIMITS: ConnectionLimits = ConnectionLimits {
    payload_max: limits::CONTROL_FRAME_BYTES_MAX,
    outbox_high: limits::CONTROL_FRAME_BYTES_MAX,
    outbox_max: limits::OUTBOX_BYTES_MAX,
};

impl Links {
    /// Takes over a connected stream.
    pub fn adopt(&mut self, stream: UnixStream, bounds: ConnectionLimits) -> LinkId {
        let link = self.insert(bounds);
        self.wishes.push_back(Wish::Adopt(link, stream));
        link
    }

    /// Connects to a socket. If that fails the role is told that the link closed.
    pub fn connect(&mut self, path: PathBuf, bounds: ConnectionLimits) -> LinkId {
        let link = self.insert(bounds);
        self.wishes.push_back(Wish::Connect(link, path));
        link
    }

    /// Accepts connections from now on, each with these bounds.
    pub fn listen(&mut self, listener: UnixListener, bounds: ConnectionLimits) {
        self.wishes.push_back(Wish::Listen(listener, bounds));
    }

    /// Sends a message. To a peer that has gone this does nothing.
    pub fn send<'m>(&mut self, id: LinkId, message: &impl Message<'m>) {
        let Some(link) = self.get_mut(id) else { return };
        let connection = &mut link.connection;
        let (before, was_high) = (connection.outbox.pending().len(), connection.outbox.is_high());
        connection.send(message);
        let added = connection.outbox.pending().len() - before;
        let pauses = connection.outbox.is_high() && !was_high;
        self.counts.frames_out += u64::from(added > 0);
        self.counts.outbox_bytes += added as u64;
        self.counts.read_pauses += u64::from(pauses);
        self.mark_dirty(id);
    }

    /// Tells a peer why it is not served, and closes once it has been told.
    pub fn refuse(&mut self, id: LinkId, code: ErrorCode, text: &str) {
        let Some(link) = self.get_mut(id) else { return };
        if link.connection.is_closing() {
            return;
        }
        let before = link.connection.outbox.pending().len();
        link.connection.refuse(code, text);
        link.is_read = false;
        let added = link.connection.outbox.pending().len() - before;
        self.counts.outbox_bytes += added as u64;
        self.counts.refused.count(code);
        self.mark_dirty(id);
    }

    /// Closes a connection; what was not sent is lost. The role is not told.
    pub fn close(&mut self, id: LinkId) {
        if self.get_mut(id).is_some() {
            self.closing.push(id);
        }
    }

    /// Starts or stops reading from a peer.
    pub fn set_reading(&mut self, id: LinkId, is_read: bool) {
        let Some(link) = self.get_mut(id) else { return };
        link.is_read = is_read;
        self.resume(id);
    }

    /// Returns whether so much waits to be sent that no more should be added.
    pub fn is_congested(&self, id: LinkId) -> bool {
        self.get(id).is_some_and(|link| !link.connection.wants_read())
    }

    /// Returns whether all that was sent has left.
    pub fn is_flushed(&self, id: LinkId) -> bool {
        self.get(id).is_none_or(|link| !link.connection.wants_write())
    }

    /// Returns what has passed over the connections of this process so far.
    pub fn net(&self) -> NetTotals {
        let links = || self.slots.iter().filter_map(|(_, link)| link.as_ref());
        NetTotals {
            connections: links().count() as u64,
            silent: links().filter(|link| !link.has_spoken).count() as u64,
            ..self.counts
        }
    }

    /// Takes note that whole frames came.
    pub(super) fn heard(&mut self, id: LinkId, frames: u64) {
        self.counts.frames_in += frames;
        if frames > 0
            && let Some(link) = self.get_mut(id)
        {
            link.has_spoken = true;
        }
    }

    /// Takes note that queued bytes have left.
    pub(super) fn sent(&mut self, bytes: u64) {
        self.counts.bytes_out += bytes;
        self.counts.outbox_bytes -= bytes;
    }

    /// Takes note that a connection which was lost has been made again.
    pub fn reconnected(&mut self) {
        self.counts.reconnects += 1;
    }

    pub(super) fn insert(&mut self, bounds: ConnectionLimits) -> LinkId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            u32::try_from(self.slots.len() - 1).expect("descriptors run out before this does")
        });
        let (generation, link) = &mut self.slots[index as usize];
        *link = Some(Link {
            connection: Connection::new(bounds),
            is_read: true,
            has_input: false,
            has_ended: false,
            has_spoken: false,
            is_queued: false,
            is_dirty: false,
        });
        LinkId { index, generation: *generation }
    }

    pub(super) fn remove(&mut self, id: LinkId) -> bool {
        let Some(link) = self.get_mut(id) else { return false };
        let lost = link.connection.outbox.pending().len();
        self.counts.outbox_bytes -= lost as u64;
        let (generation, link) = &mut self.slots[id.index as usize];
        *generation = generation.wrapping_add(1);
        *link = None;
        self.free.push(id.index);
        true
    }

    pub(super) fn get(&self, id: LinkId) -> Option<&Link> {
        match self.slots.get(id.index as usize) {
            Some((generation, Some(link))) if *generation == id.generation => Some(link),
            _ => None,
        }
    }

    pub(super) fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        match self.slots.get_mut(id.index as usize) {
            Some((generation, Some(link))) if *generation == id.generation => Some(link),
            _ => None,
        }
    }

    /// Returns the link in a slot, for events that name slots.
    pub(super) fn at(&self, index: usize) -> Option<LinkId> {
        let (generation, link) = self.slots.get(index)?;
        link.as_ref()?;
        Some(LinkId { index: u32::try_from(index).ok()?, generation: *generation })
    }

    pub(super) fn index(id: LinkId) -> usize {
        id.index as usize
    }

    /// Queues a link to be looked at if it has input and may be read.
    pub(super) fn resume(&mut self, id: LinkId) {
        let Some(link) = self.get_mut(id) else { return };
        let ready = link.has_input && link.is_read && link.connection.wants_read();
        if ready && !link.is_queued {
            link.is_queued = true;
            self.to_read.push_back(id);
        }
    }

    pub(super) fn mark_clean(&mut self, id: LinkId) {
        if let Some(link) = self.get_mut(id) {
            link.is_dirty = false;
        }
    }

    fn mark_dirty(&mut self, id: LinkId) {
        if let Some(link) = self.get_mut(id)
            && !link.is_dirty
        {
            link.is_dirty = true;
            self.dirty.push(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::net::message::{Signal, WorkerToIssuer};

    const BOUNDS: ConnectionLimits =
        ConnectionLimits { payload_max: 1000, outbox_high: 100, outbox_max: 5000 };
    /// A header and a moment.
    const FRAME_BYTES: u64 = 16;

    fn send(links: &mut Links, id: LinkId, frames: usize) {
        for _ in 0..frames {
            links.send(id, &WorkerToIssuer::Leaving(Signal { at: Time(1) }));
        }
    }

    /// Does what the event loop does when the peer takes so many bytes.
    fn flush(links: &mut Links, id: LinkId, bytes: usize) {
        links.get_mut(id).unwrap().connection.outbox.sent(bytes);
        links.sent(bytes as u64);
    }

    #[test]
    fn what_is_queued_sent_and_lost_adds_up() {
        let mut links = Links::default();
        let (first, second) = (links.insert(BOUNDS), links.insert(BOUNDS));
        send(&mut links, first, 3);
        send(&mut links, second, 2);
        flush(&mut links, first, 40);
        links.heard(first, 2);
        let net = links.net();
        assert_eq!((net.connections, net.silent), (2, 1));
        assert_eq!((net.frames_out, net.frames_in, net.bytes_out), (5, 2, 40));
        assert_eq!(net.outbox_bytes, 5 * FRAME_BYTES - 40);
        links.remove(first);
        send(&mut links, first, 1);
        let net = links.net();
        assert_eq!((net.connections, net.outbox_bytes), (1, 2 * FRAME_BYTES));
        assert_eq!(net.frames_out, 5, "nothing is sent to who has gone");
    }

    #[test]
    fn a_pause_of_reading_is_counted_when_it_begins() {
        let mut links = Links::default();
        let id = links.insert(BOUNDS);
        send(&mut links, id, 6);
        assert_eq!(links.net().read_pauses, 0);
        send(&mut links, id, 9);
        assert!(links.is_congested(id));
        assert_eq!(links.net().read_pauses, 1);
        flush(&mut links, id, 15 * 16);
        send(&mut links, id, 7);
        assert_eq!(links.net().read_pauses, 2);
    }

    #[test]
    fn a_peer_is_refused_once_and_told_why() {
        let mut links = Links::default();
        let id = links.insert(BOUNDS);
        links.refuse(id, ErrorCode::BadToken, "wrong");
        links.refuse(id, ErrorCode::Malformed, "wrong again");
        send(&mut links, id, 1);
        let net = links.net();
        assert_eq!((net.refused.bad_token, net.refused.sum()), (1, 1));
        let queued = links.get(id).unwrap().connection.outbox.pending().len();
        assert_eq!((net.frames_out, net.outbox_bytes), (0, queued as u64), "the reason is queued");
    }
}
