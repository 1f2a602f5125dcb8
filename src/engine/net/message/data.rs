//! The data plane: users and workers with the issuer.

use super::{Secret, Signal};
use crate::clock::Time;
use crate::ids::{Epoch, ServiceId, TicketId, UserId};

wire_enum! {
    /// Who joins the data plane.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum PeerRole {
        /// A user process.
        Users = 1,
        /// A worker.
        Worker = 2,
    }
}

wire_struct! {
    /// The first word on the data plane.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Join {
        /// What the control plane handed out.
        pub secret: Secret,
        /// Who joins.
        pub role: PeerRole,
        /// The slot that the process fills.
        pub number: u16,
        /// Tickets served at once (workers).
        pub seats: u32,
    }
}

wire_struct! {
    /// The issuer knows the peer.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Welcome {
        /// The issuer's start. A connection never outlives it, so no message of an older
        /// epoch can arrive.
        pub epoch: Epoch,
    }
}

wire_struct! {
    /// A user of the connected process.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Attach {
        /// Who.
        pub user: UserId,
    }
}

wire_struct! {
    /// Where a user goes on counting.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Attached {
        /// Who.
        pub user: UserId,
        /// The first number that the user has not used for a ticket in this run.
        pub next_seq: u64,
    }
}

wire_struct! {
    /// A user asks for a ticket.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Ask<'a> {
        /// Who asks.
        pub user: UserId,
        /// Which of its requests this is.
        pub seq: u64,
        /// The kind of work.
        pub service: ServiceId,
        /// The work, in nanoseconds.
        pub demand_ns: u64,
        /// When the user meant to ask.
        pub scheduled: Time,
        /// When it asked.
        pub submitted: Time,
        /// What the ticket carries.
        pub payload: &'a [u8],
    }
}

wire_struct! {
    /// A request has a ticket, as durable as the policy says.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Accepted {
        /// Who asked.
        pub user: UserId,
        /// Which of its requests.
        pub seq: u64,
        /// The ticket.
        pub id: TicketId,
    }
}

wire_struct! {
    /// The office is full.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Rejected {
        /// Who asked.
        pub user: UserId,
        /// Which of its requests.
        pub seq: u64,
    }
}

wire_struct! {
    /// A ticket's life has ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Done {
        /// Who asked.
        pub user: UserId,
        /// Which of its requests.
        pub seq: u64,
        /// The ticket.
        pub id: TicketId,
        /// How it ended: the number of a
        /// [`scheduler::record::Outcome`](crate::scheduler::record::Outcome).
        pub outcome: u8,
    }
}

wire_struct! {
    /// A ticket to serve.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Assign<'a> {
        /// The ticket.
        pub id: TicketId,
        /// Its place in the issuer's table, to be brought back.
        pub handle: u32,
        /// How often it has been handed out.
        pub attempt: u8,
        /// The kind of work.
        pub service: ServiceId,
        /// The work, in nanoseconds.
        pub demand_ns: u64,
        /// What the ticket carries.
        pub payload: &'a [u8],
    }
}

wire_struct! {
    /// A ticket was served.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Served {
        /// The ticket.
        pub id: TicketId,
        /// Its place in the issuer's table.
        pub handle: u32,
        /// The attempt that was served.
        pub attempt: u8,
    }
}

messages! {
    /// A user process's words to the issuer.
    pub enum UserToIssuer<'a> {
        /// The first word.
        1 => Join(Join),
        /// A user is here.
        2 => Attach(Attach),
        /// A request.
        3 => Ask(Ask<'a>),
    }
}

messages! {
    /// The issuer's words to a user process.
    pub enum IssuerToUser {
        /// The first word.
        1 => Welcome(Welcome),
        /// A user is known.
        2 => Attached(Attached),
        /// A request has a ticket.
        3 => Accepted(Accepted),
        /// The office is full.
        4 => Rejected(Rejected),
        /// A ticket's life has ended.
        5 => Done(Done),
    }
}

messages! {
    /// A worker's words to the issuer.
    pub enum WorkerToIssuer {
        /// The first word.
        1 => Join(Join),
        /// A ticket was served.
        2 => Served(Served),
        /// Send no more tickets.
        3 => Leaving(Signal),
    }
}

messages! {
    /// The issuer's words to a worker.
    pub enum IssuerToWorker<'a> {
        /// The first word.
        1 => Welcome(Welcome),
        /// A ticket to serve.
        2 => Assign(Assign<'a>),
        /// No ticket follows.
        3 => Released(Signal),
    }
}
