//! What a process counts of its own connections, whether metrics are recorded or not.

use serde::{Deserialize, Serialize};

use super::super::frame::ErrorCode;

wire_struct! {
    /// What has passed over the sockets of a process, or of all processes of a role.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct NetTotals {
        /// Connections now.
        pub connections: u64,
        /// Those of them whose peer has not said anything yet.
        pub silent: u64,
        /// Frames read.
        pub frames_in: u64,
        /// Frames queued to be sent.
        pub frames_out: u64,
        /// Bytes read.
        pub bytes_in: u64,
        /// Bytes written.
        pub bytes_out: u64,
        /// Times that a peer was no longer read because it does not read itself: that the bytes
        /// queued for it went above the high watermark.
        pub read_pauses: u64,
        /// Bytes queued to be sent, now.
        pub outbox_bytes: u64,
        /// The most of them at a time; of several processes, the most in one.
        pub outbox_bytes_max: u64,
        /// Times that a lost connection to the issuer was made again.
        pub reconnects: u64,
        /// Peers that were refused or given up.
        pub refused: RefusedPeers,
        /// Turns of the event loop; each waits once for epoll.
        pub turns: u64,
    }
}

wire_struct! {
    /// Peers that were refused or given up, by reason.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct RefusedPeers {
        /// They spoke another version.
        pub version: u64,
        /// A frame was too long.
        pub oversized: u64,
        /// A frame was not what its type says.
        pub malformed: u64,
        /// They did not know the secret.
        pub bad_token: u64,
        /// They did not say hello first, or in time.
        pub no_hello: u64,
        /// Too many had not said hello.
        pub too_many: u64,
        /// They did not read what they were sent.
        pub congested: u64,
        /// They belong to another user of the machine.
        pub other_user: u64,
    }
}

wire_struct! {
    /// What all user processes counted of their connections.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct UsersNet {
        /// Processes that live and have told.
        pub processes: u32,
        /// Their sums, with those of processes that have ended under this manager.
        pub totals: NetTotals,
    }
}

impl NetTotals {
    /// Adds what others have counted.
    pub fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        self.silent += other.silent;
        self.frames_in += other.frames_in;
        self.frames_out += other.frames_out;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.read_pauses += other.read_pauses;
        self.outbox_bytes += other.outbox_bytes;
        self.outbox_bytes_max = self.outbox_bytes_max.max(other.outbox_bytes_max);
        self.reconnects += other.reconnects;
        for (own, other) in self.refused.all_mut().into_iter().zip(other.refused.all()) {
            *own += other.1;
        }
        self.turns += other.turns;
    }

    /// Returns what stays of processes that have ended: they have no connections any more.
    pub fn of_the_past(self) -> Self {
        Self { connections: 0, silent: 0, outbox_bytes: 0, ..self }
    }
}

impl RefusedPeers {
    /// Returns the counts with the names of the reasons.
    pub fn all(&self) -> [(&'static str, u64); 8] {
        [
            ("version", self.version),
            ("oversized", self.oversized),
            ("malformed", self.malformed),
            ("bad_token", self.bad_token),
            ("no_hello", self.no_hello),
            ("too_many", self.too_many),
            ("congested", self.congested),
            ("other_user", self.other_user),
        ]
    }

    /// Returns how many there are.
    pub fn sum(&self) -> u64 {
        self.all().into_iter().map(|(_, count)| count).sum()
    }

    fn all_mut(&mut self) -> [&mut u64; 8] {
        [
            &mut self.version,
            &mut self.oversized,
            &mut self.malformed,
            &mut self.bad_token,
            &mut self.no_hello,
            &mut self.too_many,
            &mut self.congested,
            &mut self.other_user,
        ]
    }

    /// Counts a peer that is told to go.
    pub fn count(&mut self, code: ErrorCode) {
        *match code {
            ErrorCode::Version => &mut self.version,
            ErrorCode::Oversized => &mut self.oversized,
            ErrorCode::Malformed => &mut self.malformed,
            ErrorCode::BadToken => &mut self.bad_token,
            ErrorCode::HelloExpected => &mut self.no_hello,
            ErrorCode::TooManyPeers => &mut self.too_many,
        } += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_the_reasons_apart_and_the_past_has_no_connections() {
        let mut one = NetTotals { connections: 3, outbox_bytes: 7, ..NetTotals::default() };
        (one.frames_in, one.outbox_bytes_max) = (10, 90);
        one.refused.count(ErrorCode::BadToken);
        one.refused.count(ErrorCode::TooManyPeers);
        let mut all = one.of_the_past();
        assert_eq!((all.connections, all.outbox_bytes, all.frames_in), (0, 0, 10));
        all.add(&NetTotals { outbox_bytes_max: 80, ..one });
        assert_eq!((all.connections, all.frames_in, all.outbox_bytes_max), (3, 20, 90));
        let reasons: Vec<_> = all.refused.all().into_iter().filter(|reason| reason.1 > 0).collect();
        assert_eq!((reasons, all.refused.sum()), (vec![("bad_token", 2), ("too_many", 2)], 4));
    }
}
