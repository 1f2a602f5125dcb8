//! What deviates from the ordinary at a moment: what people hold back, slow down or let stand.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::ProcessId;
use super::tempo::{LoadRate, Pulse};
use super::{format, serial};

/// What deviates from the ordinary now; the default is an ordinary office.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Workers take no tickets; they finish what they hold.
    pub(crate) is_on_strike: bool,
    /// The services whose tickets are not handed out, in scenario order.
    pub(crate) blocked: Vec<String>,
    /// How late each round of handing out tickets is; zero if it is not.
    #[serde(with = "serial::ns")]
    pub(crate) issuer_delay: Duration,
    /// Processes that stand still (SIGSTOP).
    pub(crate) frozen: Vec<ProcessId>,
    /// Processes that were given up because they died too often; [`Action::Restart`] tries again.
    ///
    /// [`Action::Restart`]: super::action::Action::Restart
    pub(crate) given_up: Vec<ProcessId>,
    /// The office time at which the step ends that is under way.
    #[serde(with = "serial::ns_option")]
    pub(crate) step_until: Option<Duration>,
    /// How fast users live.
    pub(crate) tempo: Pulse,
}

/// One thing that deviates, as people read it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deviation<'a> {
    /// Workers are on strike.
    Strike,
    /// A service is blocked.
    Blocked(&'a str),
    /// The issuer is slow.
    SlowIssuer(Duration),
    /// A process stands still.
    Frozen(ProcessId),
    /// A process was given up.
    GivenUp(ProcessId),
    /// A step is under way.
    Step,
    /// Users live so many times as fast.
    Speed(f64),
    /// An open load has another rate.
    Rate(&'a LoadRate),
}

impl Settings {
    /// Returns all that deviates, in a fixed order; nothing if the office is ordinary.
    pub(crate) fn deviations(&self) -> Vec<Deviation<'_>> {
        let strike = self.is_on_strike.then_some(Deviation::Strike);
        let blocked = self.blocked.iter().map(|name| Deviation::Blocked(name));
        let slow =
            Some(Deviation::SlowIssuer(self.issuer_delay)).filter(|_| !self.issuer_delay.is_zero());
        let frozen = self.frozen.iter().copied().map(Deviation::Frozen);
        let given_up = self.given_up.iter().copied().map(Deviation::GivenUp);
        let step = self.step_until.map(|_| Deviation::Step);
        let held = strike.into_iter().chain(blocked).chain(slow);
        let held = held.chain(frozen).chain(given_up).chain(step);
        let speed = self.tempo.speed;
        let speed = speed.total_cmp(&1.0).is_ne().then_some(Deviation::Speed(speed));
        let rates = self.tempo.rates.iter().filter(|rate| !rate.is_base()).map(Deviation::Rate);
        held.chain(speed).chain(rates).collect()
    }
}

impl fmt::Display for Deviation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Strike => f.write_str("workers on strike"),
            Self::Blocked(service) => write!(f, "{service} blocked"),
            Self::SlowIssuer(delay) => write!(f, "issuer {} slow", format::duration(*delay)),
            Self::Frozen(process) => write!(f, "{process} frozen"),
            Self::GivenUp(process) => write!(f, "{process} given up"),
            Self::Step => f.write_str("stepping"),
            Self::Speed(speed) => write!(f, "users x{speed}"),
            Self::Rate(rate) => write!(f, "{} {}/s", rate.name, format::rate(rate.wanted)),
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::ids::LoadId;

    use super::*;

    #[test]
    fn an_ordinary_office_has_nothing_to_show() {
        assert_eq!(Settings::default().deviations(), []);
    }

    #[test]
    fn all_that_deviates_is_named() {
        let rate = |(name, wanted): (&str, f64)| LoadRate {
            load: LoadId(1),
            name: name.to_owned(),
            model: "poisson",
            base: 160.0,
            wanted,
        };
        let settings = Settings {
            is_on_strike: true,
            blocked: vec!["parcels".to_owned()],
            issuer_delay: Duration::from_millis(200),
            frozen: vec![ProcessId::Issuer],
            given_up: vec![ProcessId::UsersManager],
            step_until: Some(Duration::from_secs(3)),
            tempo: Pulse { speed: 2.5, rates: [("rush", 300.0), ("calm", 160.0)].map(rate).into() },
        };
        let texts: Vec<String> = settings.deviations().iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "workers on strike",
                "parcels blocked",
                "issuer 200ms slow",
                "issuer frozen",
                "users-manager given up",
                "stepping",
                "users x2.5",
                "rush 300/s",
            ]
        );
    }
}
