//! How fast users live, over the control socket.
//!
//! | request | reply |
//! | --- | --- |
//! | `{"do":"speed","times":2}` | `speed`; users live so many times as fast, service keeps its time |
//! | `{"do":"rate","load":"rush","per_s":300}` | `load`, `per_s`, `base_per_s`, `speed` |
//!
//! `load` may be left out of `rate` where one load is open. Every reply has `snapshot`: the first
//! that shows the effect. All users go on at the new tempo [`limits::TEMPO_NOTICE`] after the
//! request, at the same moment.

use engine::limits;
use serde_json::{Map, Value, json};

use super::Desk;
use crate::app::action::Action;

/// The verbs, as they are listed to whoever mistypes one.
pub(super) const VERBS: &str = "speed, rate";

/// A wish that was understood. Whether there is such a load is a matter of the moment.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wish {
    Speed(f64),
    Rate { load: Option<String>, per_second: f64 },
}

impl Wish {
    /// Reads a request whose verb is known; `None` if the verb is none of these.
    pub(super) fn read(verb: &str, keys: &mut Map<String, Value>) -> Option<Result<Self, String>> {
        match verb {
            "speed" => {
                let (least, most) = (limits::SPEED_MIN, limits::SPEED_MAX);
                let times = keys.remove("times").and_then(|times| times.as_f64());
                let times = times.filter(|times| (least..=most).contains(times));
                let expected = || format!("times must be a number from {least} to {most}");
                Some(times.map(Self::Speed).ok_or_else(expected))
            }
            "rate" => Some(rate(keys)),
            _ => None,
        }
    }
}

fn rate(keys: &mut Map<String, Value>) -> Result<Wish, String> {
    let load = match keys.remove("load") {
        None | Some(Value::Null) => None,
        Some(Value::String(load)) => Some(load),
        Some(_) => return Err("load must be the name of an open load".to_owned()),
    };
    let per_second = keys.remove("per_s").and_then(|rate| rate.as_f64());
    let per_second = per_second.filter(|rate| *rate > 0.0 && *rate <= limits::RATE_MAX);
    let expected = || format!("per_s must be a number above 0 and up to {}", limits::RATE_MAX);
    Ok(Wish::Rate { load, per_second: per_second.ok_or_else(expected)? })
}

impl Desk {
    /// Lets users live otherwise and returns what to say.
    pub(super) fn set_tempo(&self, wish: Wish) -> Result<Value, String> {
        match wish {
            Wish::Speed(speed) => {
                self.only_before_the_end("change the speed")?;
                let action = Action::SetSpeed(speed);
                let is_it = |found: f64| found.total_cmp(&speed).is_eq();
                let state = self.act(action, |state| is_it(state.settings.tempo.speed))?;
                Ok(json!({ "speed": speed, "snapshot": state.number }))
            }
            Wish::Rate { load: name, per_second } => {
                self.only_before_the_end("change a rate")?;
                let before = self.office.snapshot();
                let found = before.settings.tempo.find(name.as_deref())?;
                let (load, base) = (found.load, found.base);
                let state = self.act(Action::SetRate { load, per_second }, |state| {
                    let rate = state.settings.tempo.rate(load);
                    rate.is_some_and(|rate| rate.wanted.total_cmp(&per_second).is_eq())
                })?;
                Ok(json!({
                    "load": found.name,
                    "per_s": per_second,
                    "base_per_s": base,
                    "speed": state.settings.tempo.speed,
                    "snapshot": state.number,
                }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::parts;
    use super::*;

    fn read(request: Value) -> Result<Wish, String> {
        let (verb, mut keys) = parts(request);
        Wish::read(&verb, &mut keys).unwrap()
    }

    #[test]
    fn wishes_are_read_and_what_is_beyond_the_bounds_is_refused_with_them() {
        assert_eq!(read(json!({ "do": "speed", "times": 2 })), Ok(Wish::Speed(2.0)));
        let rush = Wish::Rate { load: Some("rush".to_owned()), per_second: 0.5 };
        assert_eq!(read(json!({ "do": "rate", "load": "rush", "per_s": 0.5 })), Ok(rush));
        let only = Wish::Rate { load: None, per_second: 300.0 };
        assert_eq!(read(json!({ "do": "rate", "per_s": 300 })), Ok(only));
        for (request, words) in [
            (json!({ "do": "speed" }), "times must be a number from 0.1 to 100"),
            (json!({ "do": "speed", "times": 0.05 }), "from 0.1 to 100"),
            (json!({ "do": "speed", "times": "2" }), "from 0.1 to 100"),
            (json!({ "do": "rate", "load": 3, "per_s": 1 }), "load must be the name"),
            (json!({ "do": "rate", "per_s": 0 }), "above 0 and up to 10000000"),
            (json!({ "do": "rate" }), "per_s must be a number"),
        ] {
            let error = read(request.clone()).unwrap_err();
            assert!(error.contains(words), "{request}: {error}");
        }
        assert!(Wish::read("speeds", &mut Map::new()).is_none());
    }
}
