//! What processes say to each other: one enum per direction of a pair of roles.
//!
//! The *control plane* joins each child with its supervisor (director or users manager): hello,
//! configuration, heartbeats, telemetry, the end. The *data plane* joins users and workers with
//! the issuer. Numbers of messages are part of the protocol: a change of meaning is a new number
//! or a new [`VERSION`](super::frame::VERSION).
//!
//! Telemetry is absolute, never a difference: losing or repeating one does no harm.

use crate::clock::Time;

mod control;
mod data;
mod traffic;
mod users;

pub use control::*;
pub use data::*;
pub use traffic::*;
pub use users::*;

/// The secret that lets a process join the data plane; handed out on the control plane only.
pub type Secret = [u8; 16];

wire_struct! {
    /// A message that says all by its number.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Signal {
        /// When it was sent, for logs.
        pub at: Time,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::net::wire::Message;
    use crate::tempo::{Course, Factor, Tempo};
    use crate::timeline::Timeline;

    /// Decodes a payload; what is accepted must encode to the same bytes, so that no two payloads
    /// mean the same.
    fn check<'a, M: Message<'a>>(kind: u8, payload: &'a [u8]) -> bool {
        let Ok(message) = M::decode(kind, payload) else { return false };
        let mut again = Vec::new();
        message.put_payload(&mut again);
        assert_eq!((message.kind(), again.as_slice()), (kind, payload));
        true
    }

    fn check_all(kind: u8, payload: &[u8]) -> usize {
        let accepted = [
            check::<ChildToSupervisor<'_>>(kind, payload),
            check::<SupervisorToChild>(kind, payload),
            check::<DirectorToIssuer>(kind, payload),
            check::<IssuerToDirector<'_>>(kind, payload),
            check::<DirectorToWorker>(kind, payload),
            check::<WorkerToDirector>(kind, payload),
            check::<DirectorToManager>(kind, payload),
            check::<ManagerToDirector<'_>>(kind, payload),
            check::<ManagerToUser>(kind, payload),
            check::<UserToManager<'_>>(kind, payload),
            check::<UserToIssuer<'_>>(kind, payload),
            check::<IssuerToUser>(kind, payload),
            check::<WorkerToIssuer>(kind, payload),
            check::<IssuerToWorker<'_>>(kind, payload),
        ];
        accepted.into_iter().filter(|accepted| *accepted).count()
    }

    proptest! {
        #[test]
        fn any_payload_is_refused_or_means_one_thing(kind in 0u8..40, payload: Vec<u8>) {
            check_all(kind, &payload);
        }

        #[test]
        fn a_payload_of_the_right_length_is_read(payload: [u8; 12]) {
            prop_assert!(check_all(4, &payload) >= 1, "a rejection is any twelve bytes");
        }
    }

    #[test]
    fn a_tempo_travels_whole_and_one_that_is_none_is_refused() {
        let mut course = Course::default();
        course.change(Factor::new(2.5).expect("it is within the bounds"), 7_000);
        let tempo = Tempo(vec![Course::default(), course]);
        let mut payload = Vec::new();
        ManagerToUser::Tempo(tempo.clone()).put_payload(&mut payload);
        assert_eq!(ManagerToUser::decode(5, &payload), Ok(ManagerToUser::Tempo(tempo)));
        let last = payload.len() - 8..;
        payload[last].fill(0);
        assert!(ManagerToUser::decode(5, &payload).is_err(), "nobody divides by zero");
    }

    #[test]
    fn a_timeline_travels_whole() {
        let mut line = Timeline { opened_at: Time(5), ..Timeline::default() };
        line.pause(Time(7));
        line.resume(Time(9));
        line.pause(Time(11));
        let mut payload = Vec::new();
        DirectorToIssuer::Timeline(line.clone()).put_payload(&mut payload);
        assert_eq!(DirectorToIssuer::decode(2, &payload), Ok(DirectorToIssuer::Timeline(line)));
    }
}
