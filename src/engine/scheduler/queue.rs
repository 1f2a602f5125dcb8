//! The waiting tickets: one first-come-first-served queue per service, served as one line.
//!
//! The central scheduler takes whichever ticket has waited longest over all services. Each entry
//! carries its place in that line, so the queues can be looked at apart and still be served in
//! one order.

use std::collections::VecDeque;

use crate::ids::ServiceId;

/// A ticket's place in the issuer's table.
pub type Handle = u32;

/// A place in the line over all services: smaller is served first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u64);

/// The waiting tickets. The issuer bounds them by the office's room.
#[derive(Debug)]
pub struct Queues {
    services: Vec<VecDeque<(Place, Handle)>>,
    next_place: u64,
    len: u32,
}

impl Queues {
    /// Returns empty queues for `services` services.
    pub fn new(services: usize) -> Self {
        Self { services: vec![VecDeque::new(); services], next_place: 0, len: 0 }
    }

    /// Returns how many tickets wait.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Returns whether no ticket waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts a ticket at the end of the line and returns its place.
    pub fn push(&mut self, service: ServiceId, handle: Handle) -> Place {
        let place = Place(self.next_place);
        self.next_place += 1;
        self.services[usize::from(service.0)].push_back((place, handle));
        self.len += 1;
        place
    }

    /// Puts a ticket back to a place that it had before.
    pub fn put_back(&mut self, service: ServiceId, handle: Handle, place: Place) {
        let queue = &mut self.services[usize::from(service.0)];
        let index = queue.partition_point(|&(waiting, _)| waiting < place);
        queue.insert(index, (place, handle));
        self.len += 1;
    }

    /// Takes the ticket that is first in the line.
    pub fn pop(&mut self) -> Option<Handle> {
        let first = (self.services.iter_mut())
            .filter(|queue| !queue.is_empty())
            .min_by_key(|queue| queue.front().map(|&(place, _)| place))?;
        let (_, handle) = first.pop_front()?;
        self.len -= 1;
        Some(handle)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_waiting_ticket_of_any_service_is_first() {
        let mut queues = Queues::new(2);
        for (service, handle) in [(1, 10), (0, 11), (1, 12)] {
            queues.push(ServiceId(service), handle);
        }
        let order: Vec<_> = std::iter::from_fn(|| queues.pop()).collect();
        assert_eq!(order, [10, 11, 12]);
    }

    #[test]
    fn a_ticket_that_is_put_back_is_served_before_those_behind_it() {
        let mut queues = Queues::new(2);
        let first = queues.push(ServiceId(0), 1);
        queues.push(ServiceId(1), 2);
        assert_eq!(queues.pop(), Some(1));
        queues.put_back(ServiceId(0), 1, first);
        assert_eq!((queues.pop(), queues.pop(), queues.pop()), (Some(1), Some(2), None));
        assert!(queues.is_empty());
    }

    proptest! {
        #[test]
        fn the_line_is_one_line_whatever_the_services(services in prop::collection::vec(0u8..4, 0..60)) {
            let mut queues = Queues::new(4);
            for (handle, service) in services.iter().enumerate() {
                queues.push(ServiceId(*service), Handle::try_from(handle).unwrap());
            }
            prop_assert_eq!(queues.len() as usize, services.len());
            let order: Vec<_> = std::iter::from_fn(|| queues.pop()).collect();
            prop_assert!(order.is_sorted());
            prop_assert_eq!(order.len(), services.len());
        }
    }
}
