//! The control plane of users: director, users manager and user processes.

use super::super::wire::{DecodeError, Reader, Wire};
use super::{HistogramBytes, Secret, Signal, UsersNet};
use crate::clock::Time;
use crate::ids::{UserId, UserProcessId};
use crate::tempo::{Course, Factor, Piece, Tempo};
use crate::timeline::Timeline;

wire_struct! {
    /// All that users need to know.
    #[derive(Clone, Debug, PartialEq)]
    pub struct UsersConfig {
        /// The effective scenario as INI text.
        pub scenario: String,
        /// The master seed.
        pub seed: u64,
        /// Where the issuer listens.
        pub socket: String,
        /// What to show there.
        pub secret: Secret,
        /// The run's times.
        pub timeline: Timeline,
        /// How fast users live.
        pub tempo: Tempo,
        /// Where acknowledged ticket ids are appended, if anywhere.
        pub ack_log: Option<String>,
        /// Where each user process notes what its users were told, if anywhere.
        pub notes_dir: Option<String>,
    }
}

wire_struct! {
    /// How many users each load should have, by load.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct WantedUsers {
        /// One entry per load.
        pub loads: Vec<u32>,
    }
}

wire_struct! {
    /// The users that a process hosts, sorted.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct HostedUsers {
        /// The whole list; users that are not in it leave.
        pub users: Vec<UserId>,
    }
}

wire_struct! {
    /// Which user process is to stand still, and until when at most.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct FreezeUser {
        /// Which.
        pub number: UserProcessId,
        /// It goes on by itself then.
        pub until: Time,
    }
}

wire_struct! {
    /// One user process as its manager sees it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct UserProcess {
        /// The slot.
        pub number: UserProcessId,
        /// Its process id, while it lives.
        pub pid: Option<u32>,
        /// Its state, as [`crate::supervisor::report::Phase`] numbers it.
        pub state: u8,
        /// Times that it was started again.
        pub restarts: u32,
        /// It stands still because a person wants that.
        pub is_frozen: bool,
        /// Users that it hosts.
        pub hosted: u32,
        /// Tickets that its users were told to be served.
        pub served: u64,
        /// Why it ended last, or waits.
        pub note: String,
    }
}

wire_struct! {
    /// What the users manager knows of its processes.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Population {
        /// Users hosted by processes that are ready.
        pub users: u32,
        /// All processes.
        pub processes: Vec<UserProcess>,
    }
}

wire_struct! {
    /// What users have counted.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct UsersTotals {
        /// Requests that were due, whether sent or not.
        pub intended: u64,
        /// Requests sent, each counted once.
        pub submitted: u64,
        /// Requests that got a ticket.
        pub accepted: u64,
        /// Requests that found the office full.
        pub rejected: u64,
        /// Tickets told to be served.
        pub served: u64,
        /// Tickets told to have failed.
        pub failed: u64,
        /// Requests that were due and never sent.
        pub dropped: u64,
        /// Measured requests that were due.
        pub measured_intended: u64,
        /// Those of them that were never sent.
        pub measured_dropped: u64,
        /// The users of the starting population that `digest` covers.
        pub digest_users: u32,
        /// Wrapping sum of the workload digests of those users.
        pub digest: u64,
    }
}

wire_struct! {
    /// What users have timed since the word before.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct UsersLatencies<'a> {
        /// Whether it was of measured tickets; others are those of the warm-up.
        pub is_measured: bool,
        /// From the intended issue to the user's knowledge of the end.
        pub response: HistogramBytes<'a>,
        /// From the intended issue to the sending.
        pub lag: HistogramBytes<'a>,
    }
}

messages! {
    /// The director's words to the users manager.
    pub enum DirectorToManager {
        /// Be ready to host users.
        1 => Configure(UsersConfig),
        /// The run's times changed.
        2 => Timeline(Timeline),
        /// Change the population.
        3 => Wanted(WantedUsers),
        /// Kill one user process, to see what happens.
        4 => Kill(UserProcessId),
        /// End all user processes, then end.
        5 => Stop(Signal),
        /// Let a user process stand still.
        6 => Freeze(FreezeUser),
        /// Let it go on.
        7 => Continue(UserProcessId),
        /// End a user process in order and start it again.
        8 => Restart(UserProcessId),
        /// Users live faster or slower.
        9 => Tempo(Tempo),
    }
}

messages! {
    /// The users manager's words to the director.
    pub enum ManagerToDirector<'a> {
        /// The population can be set.
        16 => Ready(Signal),
        /// What all users have counted.
        17 => Totals(UsersTotals),
        /// What all users have timed.
        18 => Latencies(UsersLatencies<'a>),
        /// Its processes.
        19 => Population(Population),
        /// What passed over the sockets of its processes.
        20 => Net(UsersNet),
    }
}

messages! {
    /// The users manager's words to a user process.
    pub enum ManagerToUser {
        /// Join the issuer.
        1 => Configure(UsersConfig),
        /// The run's times changed.
        2 => Timeline(Timeline),
        /// Host these users.
        3 => Host(HostedUsers),
        /// End.
        4 => Stop(Signal),
        /// Users live faster or slower.
        5 => Tempo(Tempo),
    }
}

messages! {
    /// A user process's words to the users manager.
    pub enum UserToManager<'a> {
        /// The issuer knows the process.
        16 => Ready(Signal),
        /// What its users have counted.
        17 => Totals(UsersTotals),
        /// What its users have timed.
        18 => Latencies(UsersLatencies<'a>),
    }
}

impl UsersTotals {
    /// Adds what others have counted.
    pub fn add(&mut self, other: &Self) {
        self.intended += other.intended;
        self.submitted += other.submitted;
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.served += other.served;
        self.failed += other.failed;
        self.dropped += other.dropped;
        self.measured_intended += other.measured_intended;
        self.measured_dropped += other.measured_dropped;
        self.digest_users += other.digest_users;
        self.digest = self.digest.wrapping_add(other.digest);
    }

    /// Returns the counts of processes that have ended. The digest of a user is the same in
    /// every life, so it counts for the present one only.
    pub fn without_digest(self) -> Self {
        Self { digest: 0, digest_users: 0, ..self }
    }
}

impl<'a> Wire<'a> for Tempo {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Wire::take(reader).map(Self)
    }
}

impl<'a> Wire<'a> for Course {
    fn put(&self, out: &mut Vec<u8>) {
        let pieces = self.pieces().iter();
        let pieces: Vec<_> = pieces
            .map(|&Piece { office_ns, demand_ns, factor }| (office_ns, (demand_ns, factor.parts())))
            .collect();
        pieces.put(out);
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let invalid = |of, found| DecodeError::InvalidValue { of, found };
        let mut pieces = Vec::new();
        for (office_ns, (demand_ns, parts)) in <Vec<(u64, (u64, u64))>>::take(reader)? {
            let factor = Factor::of_parts(parts).ok_or(invalid("Factor", parts))?;
            pieces.push(Piece { office_ns, demand_ns, factor });
        }
        let found = pieces.len() as u64;
        Self::of(pieces).ok_or(invalid("Course", found))
    }
}
