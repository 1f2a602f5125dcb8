//! Which requests have a ticket already.
//!
//! A user that lost its connection asks again with the same token. Whoever asks again gets the
//! ticket that it has; nobody is served twice. Open tickets are remembered for as long as they
//! are open, finished ones until [`limits::FINISHED_TOKENS_KEPT`] later ones have finished.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::FixedState;

use super::queue::Handle;
use super::record::Outcome;
use crate::ids::{LoadId, TicketId, Token, UserId};
use crate::limits;

/// What is known of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Its ticket waits, is in service, or its end is not yet durable.
    Open(Handle),
    /// Its ticket's life has ended and the user was told so.
    Finished(TicketId, Outcome),
}

/// The requests that have a ticket, and how far each user has counted.
#[derive(Debug)]
pub struct Tokens {
    known: HashMap<Token, Known, FixedState>,
    finished: VecDeque<Token>,
    /// The next sequence number of each user, by load and index.
    next_seq: Vec<Vec<u64>>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            known: HashMap::with_hasher(FixedState::default()),
            finished: VecDeque::new(),
            next_seq: vec![Vec::new(); limits::LOADS_MAX],
        }
    }
}

impl Tokens {
    /// Returns what is known of a request.
    pub fn get(&self, token: Token) -> Option<Known> {
        self.known.get(&token).copied()
    }

    /// Returns the first sequence number that the user has not used for a ticket.
    pub fn next_seq(&self, user: UserId) -> u64 {
        let LoadId(load) = user.load();
        let users = self.next_seq.get(usize::from(load));
        users.and_then(|users| users.get(user.index() as usize)).copied().unwrap_or(0)
    }

    /// Returns the next sequence number of each user, by load and index.
    pub(super) fn next_seqs(&self) -> &[Vec<u64>] {
        &self.next_seq
    }

    /// Returns the remembered requests whose tickets have finished, the oldest first.
    pub(super) fn finished(&self) -> impl Iterator<Item = (Token, TicketId, Outcome)> {
        self.finished.iter().filter_map(|&token| match self.known.get(&token) {
            Some(&Known::Finished(id, outcome)) => Some((token, id, outcome)),
            // Only a log that breaks its promises has another ticket of the same request.
            Some(Known::Open(_)) | None => None,
        })
    }

    /// Puts back how far a user has counted.
    pub(super) fn restore_next_seq(&mut self, load: usize, index: usize, seq: u64) {
        if let Some(users) = self.next_seq.get_mut(load) {
            users.resize(users.len().max(index + 1), 0);
            users[index] = users[index].max(seq);
        }
    }

    /// Remembers that a request got a ticket.
    pub fn open(&mut self, token: Token, handle: Handle) {
        self.known.insert(token, Known::Open(handle));
        let LoadId(load) = token.user.load();
        let Some(users) = self.next_seq.get_mut(usize::from(load)) else {
            return;
        };
        let index = token.user.index() as usize;
        if users.len() <= index {
            users.resize(index + 1, 0);
        }
        users[index] = users[index].max(token.seq + 1);
    }

    /// Remembers that a ticket's life ended, and forgets the ticket that finished longest ago.
    pub fn finish(&mut self, token: Token, id: TicketId, outcome: Outcome) {
        self.known.insert(token, Known::Finished(id, outcome));
        self.finished.push_back(token);
        if self.finished.len() > limits::FINISHED_TOKENS_KEPT
            && let Some(oldest) = self.finished.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(seq: u64) -> Token {
        Token { user: UserId::new(LoadId(2), 40), seq }
    }

    #[test]
    fn a_request_is_known_from_its_ticket_on() {
        let mut tokens = Tokens::default();
        assert_eq!(tokens.get(token(5)), None);
        tokens.open(token(5), 17);
        assert_eq!(tokens.get(token(5)), Some(Known::Open(17)));
        tokens.finish(token(5), TicketId(9), Outcome::Served);
        assert_eq!(tokens.get(token(5)), Some(Known::Finished(TicketId(9), Outcome::Served)));
        assert_eq!(tokens.get(token(6)), None);
    }

    #[test]
    fn a_user_goes_on_counting_behind_its_last_ticket() {
        let mut tokens = Tokens::default();
        assert_eq!(tokens.next_seq(token(0).user), 0);
        tokens.open(token(7), 1);
        tokens.open(token(3), 2);
        assert_eq!(tokens.next_seq(token(0).user), 8);
        assert_eq!(tokens.next_seq(UserId::new(LoadId(2), 41)), 0);
    }

    #[test]
    fn the_memory_of_finished_tickets_is_bounded() {
        let mut tokens = Tokens::default();
        let kept = limits::FINISHED_TOKENS_KEPT as u64;
        for seq in 0..kept + 2 {
            tokens.open(token(seq), 0);
            tokens.finish(token(seq), TicketId(seq), Outcome::Served);
        }
        assert_eq!(tokens.known.len(), limits::FINISHED_TOKENS_KEPT);
        assert_eq!((tokens.get(token(1)), tokens.get(token(2)).is_some()), (None, true));
    }
}
