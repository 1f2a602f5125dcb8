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
    /// Whether a service's tickets are not taken at present.
    blocked: Vec<bool>,
    next_place: u64,
    len: u32,
    /// Those of them whose service is not blocked.
    takable: u32,
}

impl Queues {
    /// Returns empty queues for `services` services.
    pub fn new(services: usize) -> Self {
        Self {
            services: vec![VecDeque::new(); services],
            blocked: vec![false; services],
            next_place: 0,
            len: 0,
            takable: 0,
        }
    }

    /// Takes tickets of all services but these from now on; services that do not exist are
    /// ignored.
    pub fn block(&mut self, services: &[ServiceId]) {
        self.takable = 0;
        for (number, queue) in (0..).zip(&self.services) {
            let is_blocked = services.contains(&ServiceId(number));
            self.blocked[usize::from(number)] = is_blocked;
            if !is_blocked {
                self.takable += u32::try_from(queue.len()).unwrap_or(u32::MAX);
            }
        }
    }

    /// Returns whether a service's tickets are not taken at present.
    pub fn is_blocked(&self, service: ServiceId) -> bool {
        self.blocked[usize::from(service.0)]
    }

    /// Returns how many tickets wait that may be taken.
    pub fn takable(&self) -> u32 {
        self.takable
    }

    /// Returns how many tickets wait.
    pub fn waiting(&self) -> u32 {
        self.len
    }

    /// Puts a ticket at the end of the line and returns its place.
    pub fn push(&mut self, service: ServiceId, handle: Handle) -> Place {
        let place = Place(self.next_place);
        self.next_place += 1;
        self.services[usize::from(service.0)].push_back((place, handle));
        self.count_in(service);
        place
    }

    /// Puts a ticket back to a place that it had before.
    pub fn put_back(&mut self, service: ServiceId, handle: Handle, place: Place) {
        let queue = &mut self.services[usize::from(service.0)];
        let index = queue.partition_point(|&(waiting, _)| waiting < place);
        queue.insert(index, (place, handle));
        self.count_in(service);
    }

    fn count_in(&mut self, service: ServiceId) {
        self.len += 1;
        self.takable += u32::from(!self.is_blocked(service));
    }

    /// Takes the ticket that is first in the line of those that may be taken.
    pub fn pop(&mut self) -> Option<Handle> {
        let first = (self.services.iter_mut().zip(&self.blocked))
            .filter(|(queue, is_blocked)| !queue.is_empty() && !**is_blocked)
            .map(|(queue, _)| queue)
            .min_by_key(|queue| queue.front().map(|&(place, _)| place))?;
        let (_, handle) = first.pop_front()?;
        self.len -= 1;
        self.takable -= 1;
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
        assert_eq!(queues.waiting(), 0);
    }

    #[test]
    fn tickets_of_a_blocked_service_keep_their_places_in_the_line() {
        let mut queues = Queues::new(2);
        for (service, handle) in [(1, 10), (0, 11), (1, 12), (0, 13)] {
            queues.push(ServiceId(service), handle);
        }
        queues.block(&[ServiceId(1), ServiceId(9)]);
        assert_eq!((queues.waiting(), queues.takable()), (4, 2));
        assert_eq!(queues.pop(), Some(11));
        queues.push(ServiceId(1), 14);
        assert_eq!((queues.pop(), queues.pop()), (Some(13), None));
        assert_eq!((queues.waiting(), queues.takable()), (3, 0));
        queues.block(&[]);
        let order: Vec<_> = std::iter::from_fn(|| queues.pop()).collect();
        assert_eq!(order, [10, 12, 14]);
    }

    proptest! {
        #[test]
        fn the_line_is_one_line_whatever_the_services(services in prop::collection::vec(0u8..4, 0..60)) {
            let mut queues = Queues::new(4);
            for (handle, service) in services.iter().enumerate() {
                queues.push(ServiceId(*service), Handle::try_from(handle).unwrap());
            }
            prop_assert_eq!(queues.waiting() as usize, services.len());
            let order: Vec<_> = std::iter::from_fn(|| queues.pop()).collect();
            prop_assert!(order.is_sorted());
            prop_assert_eq!(order.len(), services.len());
        }
    }
}
