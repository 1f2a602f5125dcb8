//! How fast users live, as people want it: the speed of all and the rates of open loads.
//!
//! Speed is for users only: requests of open loads come, and users of closed loads think, so many
//! times as fast as the scenario says. Service is real work on a real machine and keeps its time.
//! A rate is one load's own; both together make the factor of that load's demand time.

use engine::config::Scenario;
use engine::config::scenario::{Arrival, LoadModel};
use engine::ids::LoadId;
use engine::limits;
use engine::tempo::{Course, Factor, Tempo};
use serde::{Deserialize, Serialize};

use super::serial::{self, Text};

/// The rate of one open load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LoadRate {
    /// Which load.
    pub(crate) load: LoadId,
    /// Its name.
    pub(crate) name: String,
    /// How its requests are spread, as the scenario spells it: `poisson` or `det`.
    #[serde(deserialize_with = "serial::arrival_model")]
    pub(crate) model: Text,
    /// Requests per second with which the run began.
    pub(crate) base: f64,
    /// Requests per second that are wanted now, at speed one.
    pub(crate) wanted: f64,
}

impl LoadRate {
    /// Returns whether the load has the rate with which the run began.
    pub(crate) fn is_base(&self) -> bool {
        self.wanted.total_cmp(&self.base).is_eq()
    }
}

/// What people want.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pulse {
    /// How many times as fast as in the scenario users live.
    pub(crate) speed: f64,
    /// One entry per open load, in the scenario's order.
    pub(crate) rates: Vec<LoadRate>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { speed: 1.0, rates: Vec::new() }
    }
}

impl Pulse {
    /// Returns what a scenario wants.
    pub(crate) fn of(scenario: &Scenario) -> Self {
        let loads = (0..).map(LoadId).zip(&scenario.loads);
        let rates = loads.filter_map(|(id, load)| {
            let LoadModel::Open { rate, .. } = load.model else { return None };
            let (model, base) = match rate {
                Arrival::Poisson { per_second } => ("poisson", per_second),
                Arrival::Det { per_second } => ("det", per_second),
            };
            Some(LoadRate { load: id, name: load.name.clone(), model, base, wanted: base })
        });
        Self { rates: rates.collect(), ..Self::default() }
    }

    /// Returns the same with another speed.
    ///
    /// # Errors
    /// Why users can't live that fast.
    pub(crate) fn with_speed(&self, speed: f64) -> Result<Self, String> {
        if !(limits::SPEED_MIN..=limits::SPEED_MAX).contains(&speed) {
            let (least, most) = (limits::SPEED_MIN, limits::SPEED_MAX);
            return Err(format!("a speed is from {least} to {most}, not {speed}"));
        }
        Self { speed, ..self.clone() }.checked()
    }

    /// Returns the same with the rates of a scenario of the same loads.
    ///
    /// # Errors
    /// Why a load can't have its rate.
    pub(crate) fn with_rates_of(&self, scenario: &Scenario) -> Result<Self, String> {
        let mut pulse = self.clone();
        for now in Self::of(scenario).rates {
            if let Some(rate) = pulse.rates.iter_mut().find(|rate| rate.load == now.load) {
                rate.wanted = now.wanted;
            }
        }
        pulse.checked()
    }

    /// Returns the rate of an open load; `None` if the load is closed.
    pub(crate) fn rate(&self, load: LoadId) -> Option<&LoadRate> {
        self.rates.iter().find(|rate| rate.load == load)
    }

    /// Returns the open load of a name, or the only one if none is given.
    ///
    /// # Errors
    /// If there is none, or if there are several and none is named.
    pub(crate) fn find(&self, name: Option<&str>) -> Result<&LoadRate, String> {
        let names: Vec<&str> = self.rates.iter().map(|rate| rate.name.as_str()).collect();
        let all = || names.join(", ");
        match (name, &self.rates[..]) {
            (_, []) => Err("no load is open, so none has a rate".to_owned()),
            (None, [only]) => Ok(only),
            (None, _) => Err(format!("several loads are open; say which: {}", all())),
            (Some(name), rates) => rates
                .iter()
                .find(|rate| rate.name == name)
                .ok_or_else(|| format!("{name} is no open load; open are: {}", all())),
        }
    }

    /// Returns how fast the demand time of a load goes.
    fn factor(&self, load: LoadId) -> Option<Factor> {
        let rate = self.rate(load);
        Factor::new(self.speed * rate.map_or(1.0, |rate| rate.wanted / rate.base))
    }

    fn checked(self) -> Result<Self, String> {
        for rate in &self.rates {
            let LoadRate { name, wanted, base, .. } = rate;
            let found = wanted * self.speed;
            let text = |rate: f64| format!("{rate}/s");
            if !(*wanted > 0.0 && found <= limits::RATE_MAX) {
                let (found, most) = (text(found), text(limits::RATE_MAX));
                return Err(format!("load {name}: {found} is not above zero and up to {most}"));
            }
            if self.factor(rate.load).is_none() {
                let (found, base, most) = (text(found), text(*base), limits::TEMPO_FACTOR_MAX);
                return Err(format!(
                    "load {name}: {found} is more than {most} times as fast or as slow as {base}, \
                     with which the run began"
                ));
            }
        }
        Ok(self)
    }
}

/// How fast users have lived so far, and what they go by.
#[derive(Clone, Debug)]
pub(crate) struct Pacemaker {
    pulse: Pulse,
    line: Tempo,
}

impl Pacemaker {
    /// Returns the tempo of a scenario.
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let line = Tempo(vec![Course::default(); scenario.loads.len()]);
        Self { pulse: Pulse::of(scenario), line }
    }

    /// Returns what users go by.
    pub(crate) fn line(&self) -> &Tempo {
        &self.line
    }

    /// Lets users live so from some office time on, in nanoseconds. What does not change goes on as
    /// it is.
    pub(crate) fn follow(&mut self, pulse: &Pulse, office_ns: u64) {
        for (load, course) in (0..).map(LoadId).zip(&mut self.line.0) {
            let (before, after) = (self.pulse.factor(load), pulse.factor(load));
            if let Some(factor) = after.filter(|_| after != before) {
                course.change(factor, office_ns);
            }
        }
        self.pulse = pulse.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[load.a]\n[load.b]\nmodel = open\nrate = poisson 160/s\n[load.c]\n\
                        model = open\nrate = det 60/min";

    fn scenario(text: &str) -> Scenario {
        engine::config::parse_effective(text).unwrap()
    }

    fn at_rates(pulse: &Pulse, b: &str, c: &str) -> Result<Pulse, String> {
        let text = TEXT.replace("poisson 160/s", b).replace("det 60/min", c);
        pulse.with_rates_of(&scenario(&text))
    }

    #[test]
    fn speed_is_for_all_loads_and_a_rate_for_one() {
        let mut pacemaker = Pacemaker::new(&scenario(TEXT));
        let second = 1_000_000_000;
        let faster = Pulse::of(&scenario(TEXT)).with_speed(2.0).unwrap();
        pacemaker.follow(&faster, second);
        let fewer = at_rates(&faster, "poisson 40/s", "det 60/min").unwrap();
        pacemaker.follow(&fewer, 2 * second);
        let ends: Vec<u64> =
            pacemaker.line().0.iter().map(|course| course.demand(4 * second) / second).collect();
        assert_eq!(ends, [1 + 2 + 4, 1 + 2 + 1, 1 + 2 + 4]);
        let pieces: Vec<usize> =
            pacemaker.line().0.iter().map(|course| course.pieces().len()).collect();
        assert_eq!(pieces, [2, 3, 2], "what does not change gets no piece");
    }

    #[test]
    fn what_nobody_can_have_is_refused_with_a_reason() {
        let pulse = Pulse { speed: 100.0, ..Pulse::of(&scenario(TEXT)) };
        let refusals = [
            pulse.with_speed(0.0),
            pulse.with_speed(f64::NAN),
            pulse.with_speed(101.0),
            at_rates(&pulse, "poisson 200000/s", "det 60/min"),
            at_rates(&pulse, "poisson 160/s", "det 20000/s"),
            at_rates(&pulse, "poisson 0.00000001/s", "det 1/s"),
        ];
        let texts: Vec<String> = refusals.into_iter().map(Result::unwrap_err).collect();
        assert_eq!(
            texts,
            [
                "a speed is from 0.1 to 100, not 0",
                "a speed is from 0.1 to 100, not NaN",
                "a speed is from 0.1 to 100, not 101",
                "load b: 20000000/s is not above zero and up to 10000000/s",
                "load c: 2000000/s is more than 1000000 times as fast or as slow as 1/s, with which \
                 the run began",
                "load b: 0.000001/s is more than 1000000 times as fast or as slow as 160/s, with \
                 which the run began",
            ]
        );
    }

    #[test]
    fn an_open_load_is_found_by_name_or_because_it_is_the_only_one() {
        let pulse = Pulse::of(&scenario(TEXT));
        assert_eq!(pulse.find(Some("c")).map(|rate| rate.load), Ok(LoadId(2)));
        assert_eq!(pulse.find(Some("a")), Err("a is no open load; open are: b, c".to_owned()));
        assert!(pulse.find(None).is_err_and(|why| why.ends_with("say which: b, c")));
        let only = Pulse { rates: pulse.rates[1..].to_vec(), speed: 1.0 };
        assert_eq!(only.find(None).map(|rate| &rate.name[..]), Ok("c"));
        assert!(Pulse::default().find(None).is_err());
    }
}
