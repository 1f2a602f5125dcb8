//! A worker's or user process's connection to the issuer, made again whenever it is lost.

use std::path::PathBuf;
use std::time::Duration;

use super::links::{LinkId, Links};
use crate::clock::Time;
use crate::limits;
use crate::net::connection::ConnectionLimits;
use crate::net::message::{Join, UserToIssuer};

/// Keeps one connection to the issuer.
#[derive(Debug)]
pub struct Dial {
    socket: PathBuf,
    bounds: ConnectionLimits,
    join: Join,
    state: State,
    delay: Duration,
    /// The issuer has answered before.
    was_up: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nothing is connected; to be tried at this time.
    Down { retry_at: Time },
    /// Connected, and the hello is sent.
    Joining(LinkId),
    /// The issuer has answered.
    Up(LinkId),
}

impl Dial {
    /// Returns a connection to `socket` that is not made yet.
    pub fn new(socket: PathBuf, bounds: ConnectionLimits, join: Join) -> Self {
        let state = State::Down { retry_at: Time::ZERO };
        Self { socket, bounds, join, state, delay: limits::RECONNECT_DELAY_MIN, was_up: false }
    }

    /// Connects if it is time to.
    pub fn turn(&mut self, now: Time, links: &mut Links) {
        if let State::Down { retry_at } = self.state
            && retry_at <= now
        {
            let link = links.connect(self.socket.clone(), self.bounds);
            // Workers and users say hello in the same words.
            links.send(link, &UserToIssuer::Join(self.join));
            self.state = State::Joining(link);
        }
    }

    /// Takes note that the issuer answered.
    pub fn welcomed(&mut self, links: &mut Links) {
        if let State::Joining(link) = self.state {
            self.state = State::Up(link);
            self.delay = limits::RECONNECT_DELAY_MIN;
            log::debug!("the issuer has let this process in");
            if std::mem::replace(&mut self.was_up, true) {
                links.reconnected();
            }
        }
    }

    /// Takes note that a link closed; returns whether it was the one to the issuer.
    pub fn closed(&mut self, link: LinkId, now: Time) -> bool {
        if !self.is(link) {
            return false;
        }
        if matches!(self.state, State::Up(_)) {
            log::debug!("the connection to the issuer is lost; it is tried again");
        }
        self.state = State::Down { retry_at: now + self.delay };
        self.delay = (self.delay * 2).min(limits::RECONNECT_DELAY_MAX);
        true
    }

    /// Returns whether `link` leads to the issuer.
    pub fn is(&self, link: LinkId) -> bool {
        match self.state {
            State::Joining(mine) | State::Up(mine) => mine == link,
            State::Down { .. } => false,
        }
    }

    /// Returns whether nobody listens, as far as is known.
    pub fn is_down(&self) -> bool {
        matches!(self.state, State::Down { .. })
    }

    /// Returns the link, once the issuer has answered on it.
    pub fn up(&self) -> Option<LinkId> {
        match self.state {
            State::Up(link) => Some(link),
            State::Down { .. } | State::Joining(_) => None,
        }
    }

    /// When [`Self::turn`] has something to do.
    pub fn deadline(&self) -> Time {
        match self.state {
            State::Down { retry_at } => retry_at,
            State::Joining(_) | State::Up(_) => Time::NEVER,
        }
    }
}
