//! What each process is: the cores that it needs, composed, and the event loop that drives them.
//!
//! [`event_loop`] is the only code that waits. [`links`] are a role's connections as bytes,
//! [`control`] a child's side of the control plane and [`staff`] a supervisor's; [`dial`] keeps a
//! connection to the issuer. The roles themselves: [`issuer`], [`worker`], [`users_manager`],
//! [`user`]. [`repair`] sets a data directory right without an office, [`replay`] tells a
//! run's figures from its log.

use std::sync::Arc;

use nix::unistd::Pid;

use crate::config::{self, ConfigErrors, Scenario};
use crate::net::{poller, stream};
use crate::perf::facade;
use crate::supervisor::birth::{Rank, become_child};
use crate::supervisor::signals::{self, Listen};
use crate::supervisor::spawn::Spawner;

pub mod control;
pub mod dial;
pub mod event_loop;
pub mod hands;
pub mod issuer;
pub mod links;
pub mod notes;
pub mod repair;
pub mod replay;
pub mod staff;
mod timed;
pub mod user;
pub mod users_manager;
pub mod worker;

/// The exit code of a role that failed for want of something that the system would not give.
const EXIT_FAILED: u8 = 1;
/// The exit code of a role that was started with arguments or a scenario that it can't use.
const EXIT_USAGE: u8 = 2;
/// The exit code of a role that can't write what it must.
const EXIT_DISK: u8 = 7;

/// A role that runs in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleName {
    /// Allocates ids, queues, dispatches, writes the log.
    Issuer,
    /// Serves tickets.
    Worker,
    /// Keeps user processes.
    UsersManager,
    /// Asks for tickets.
    User,
}

impl RoleName {
    /// Returns the role with this name on the command line.
    pub fn from_arg(arg: &str) -> Option<Self> {
        match arg {
            "issuer" => Some(Self::Issuer),
            "worker" => Some(Self::Worker),
            "users-manager" => Some(Self::UsersManager),
            "user" => Some(Self::User),
            _ => None,
        }
    }
}

/// Runs a role in this process until its end, with the arguments that [`Spawner`] gives
/// (`--id N --parent PID`), and returns the exit code.
pub fn run(role: RoleName, args: &[String]) -> u8 {
    let Some((number, parent)) = arguments(args) else {
        eprintln!("this command is started by postoffice-tui itself");
        return EXIT_USAGE;
    };
    let rank = if role == RoleName::User { Rank::Expendable } else { Rank::Core };
    if let Err(error) = become_child(parent, rank) {
        eprintln!("{error}");
        return EXIT_USAGE;
    }
    poller::set_least_timer_slack();
    control::log_to_supervisor();
    run_role(role, number).unwrap_or_else(|error| {
        eprintln!("{error}");
        EXIT_FAILED
    })
}

fn run_role(role: RoleName, number: u16) -> std::io::Result<u8> {
    let mut event_loop = event_loop::EventLoop::new()?;
    let waker = event_loop.waker();
    let links = event_loop.links();
    let control = links.adopt(stream::from_stdin()?, links::CONTROL_LIMITS);
    match role {
        RoleName::Issuer => {
            let mut role = issuer::IssuerRole::new(control, waker, links);
            event_loop.run(&mut role)
        }
        RoleName::Worker => {
            let mut role = worker::WorkerRole::new(number, control, waker, links);
            event_loop.run(&mut role)
        }
        RoleName::UsersManager => {
            let deaths = Arc::clone(&waker);
            // A poll that is gone means that the process is ending.
            let listener = signals::listen(Listen::Child, move |_| drop(deaths.wake()))
                .map_err(std::io::Error::other)?;
            let spawner = Spawner::own_executable();
            let mut role = users_manager::UsersManagerRole::new(control, spawner, links);
            let code = event_loop.run(&mut role);
            drop(listener);
            code
        }
        RoleName::User => {
            let mut role = user::UserRole::new(number, control, links);
            event_loop.run(&mut role)
        }
    }
}

/// Reads the scenario that a supervisor sent, and heeds what it says of this process.
fn configured(scenario: &str) -> Result<Scenario, ConfigErrors> {
    let scenario = config::parse_effective(scenario)?;
    facade::set_recording(scenario.metrics.recording);
    Ok(scenario)
}

/// Reads `[--id N] --parent PID`.
fn arguments(args: &[String]) -> Option<(u16, Pid)> {
    let after = |name| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)
    };
    let number = after("--id").map_or(Some(0), |id| id.parse().ok())?;
    let parent = after("--parent")?.parse().ok()?;
    Some((number, Pid::from_raw(parent)))
}

/// Returns an error and what caused it, as one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Many messages name their cause already.
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_those_that_the_spawner_gives() {
        let args = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(arguments(&args("--id 3 --parent 77")), Some((3, Pid::from_raw(77))));
        assert_eq!(arguments(&args("--parent 77")), Some((0, Pid::from_raw(77))));
        assert_eq!(arguments(&args("--id x --parent 77")), None);
        assert_eq!(arguments(&args("--id 3")), None);
    }
}
