//! Interventions over the control socket: what is held back, slowed down, killed or stepped.
//!
//! | request | reply |
//! | --- | --- |
//! | `{"do":"strike","on":true}` | `strike` |
//! | `{"do":"block","service":"parcels"}`, `unblock` | `blocked`: all services that are |
//! | `{"do":"slow","span_ns":200000000}`, 0 is off | `issuer_delay_ns` |
//! | `{"do":"kill","process":"worker 3"}` | `process`, `pid`: the one that was killed |
//! | `{"do":"freeze","process":"issuer","span_ns":2000000000}` | `process`, `span_ns` |
//! | `{"do":"continue","process":"issuer"}` | `process` |
//! | `{"do":"restart","process":"issuer"}` | `process`, `pid`: the new one, which serves |
//! | `{"do":"step","span_ns":1000000000}` | `state`, `elapsed_ns` after the step |
//!
//! `span_ns` may be left out of `freeze` and `step`. Every reply has `snapshot`: the first that shows
//! the effect. Who asks for something that is not there is told what is.

use std::collections::BTreeSet;
use std::time::Duration;

use engine::clock::nanos;
use engine::ids::{ServiceId, UserProcessId, WorkerId};
use engine::limits;
use serde_json::{Map, Value, json};

use super::Desk;
use crate::app::action::{Action, ProcessId};
use crate::app::format;
use crate::app::state::{AppState, Phase, ProcessRow, ProcessState};

/// The verbs of interventions, as they are listed to whoever mistypes one.
pub(super) const VERBS: &str =
    "strike, block, unblock, slow, kill, freeze, continue, restart, step";

/// An intervention that was understood. Whether what it names exists is a matter of the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Strike { is_on: bool },
    Block { service: String, is_on: bool },
    Slow(Duration),
    Kill(String),
    Freeze(String, Duration),
    Continue(String),
    Restart(String),
    Step(Duration),
}

impl Wish {
    /// Reads a request whose verb is known; `None` if the verb is no intervention's.
    pub(super) fn read(verb: &str, keys: &mut Map<String, Value>) -> Option<Result<Self, String>> {
        let wish = match verb {
            "strike" => on(keys).map(|is_on| Self::Strike { is_on }),
            "block" | "unblock" => word(keys, "service", "the name of a service")
                .map(|service| Self::Block { service, is_on: verb == "block" }),
            "slow" => span(keys, None, Duration::ZERO..=limits::ISSUER_DELAY_MAX).map(Self::Slow),
            "kill" => process(keys).map(Self::Kill),
            "freeze" => process(keys).and_then(|process| {
                let range = limits::ACT_SPAN_MIN..=limits::FREEZE_MAX;
                Ok(Self::Freeze(process, span(keys, Some(limits::FREEZE_USUAL), range)?))
            }),
            "continue" => process(keys).map(Self::Continue),
            "restart" => process(keys).map(Self::Restart),
            "step" => {
                let range = limits::ACT_SPAN_MIN..=limits::STEP_MAX;
                span(keys, Some(limits::STEP_USUAL), range).map(Self::Step)
            }
            _ => return None,
        };
        Some(wish)
    }
}

fn on(keys: &mut Map<String, Value>) -> Result<bool, String> {
    let on = keys.remove("on").unwrap_or(Value::Bool(true));
    on.as_bool().ok_or_else(|| "on must be true or false".to_owned())
}

fn word(keys: &mut Map<String, Value>, key: &str, what: &str) -> Result<String, String> {
    let word = keys.remove(key).and_then(|word| word.as_str().map(str::to_owned));
    word.ok_or_else(|| format!("{key} must be {what}"))
}

fn process(keys: &mut Map<String, Value>) -> Result<String, String> {
    word(keys, "process", "the name of a process, such as \"worker 3\"")
}

fn span(
    keys: &mut Map<String, Value>,
    usual: Option<Duration>,
    range: std::ops::RangeInclusive<Duration>,
) -> Result<Duration, String> {
    let (low, high) = (nanos(*range.start()), nanos(*range.end()));
    let expected = || format!("span_ns must be a whole number from {low} to {high}");
    let span = match (keys.remove("span_ns"), usual) {
        (None, Some(usual)) => return Ok(usual),
        (span, _) => span.and_then(|span| span.as_u64()).map(Duration::from_nanos),
    };
    span.filter(|span| range.contains(span)).ok_or_else(expected)
}

impl Desk {
    /// Carries an intervention out and returns what to say.
    pub(super) fn intervene(&self, wish: Wish) -> Result<Value, String> {
        match wish {
            Wish::Strike { is_on } => {
                self.only_before_the_end("strike")?;
                let action = if is_on { Action::Strike } else { Action::EndStrike };
                let state = self.act(action, |state| state.settings.is_on_strike == is_on)?;
                Ok(json!({ "strike": is_on, "snapshot": state.number }))
            }
            Wish::Block { service, is_on } => self.block(&service, is_on),
            Wish::Slow(delay) => {
                self.only_before_the_end("slow the issuer")?;
                let action = Action::SlowIssuer(delay);
                let state = self.act(action, |state| state.settings.issuer_delay == delay)?;
                Ok(json!({ "issuer_delay_ns": nanos(delay), "snapshot": state.number }))
            }
            Wish::Kill(text) => self.kill(&text),
            Wish::Freeze(text, span) => {
                self.only_before_the_end("freeze a process")?;
                let (process, ..) = self.living(&text)?;
                let before = self.office.snapshot();
                let is_frozen = |state: &AppState| state.settings.frozen.contains(&process);
                // One that stands still already does so for another span, which no snapshot shows.
                let least = if is_frozen(&before) { before.number + 2 } else { before.number };
                let state = self.act(Action::Freeze(process, span), |state| {
                    is_frozen(state) && state.number >= least
                })?;
                let process = process.to_string();
                Ok(json!({ "process": process, "span_ns": nanos(span), "snapshot": state.number }))
            }
            Wish::Continue(text) => {
                let (process, ..) = self.living(&text)?;
                let state = self.act(Action::Continue(process), |state| {
                    !state.settings.frozen.contains(&process)
                })?;
                Ok(json!({ "process": process.to_string(), "snapshot": state.number }))
            }
            Wish::Restart(text) => self.restart(&text),
            Wish::Step(span) => self.step(span),
        }
    }

    fn block(&self, name: &str, is_on: bool) -> Result<Value, String> {
        self.only_before_the_end("change what is blocked")?;
        let service = service_named(&self.office.snapshot(), name)?;
        let action = if is_on { Action::Block(service) } else { Action::Unblock(service) };
        let is_blocked = |state: &AppState| state.settings.blocked.iter().any(|b| b == name);
        let state = self.act(action, |state| is_blocked(state) == is_on)?;
        Ok(json!({ "blocked": state.settings.blocked, "snapshot": state.number }))
    }

    fn kill(&self, text: &str) -> Result<Value, String> {
        let (process, pid) = self.living(text)?;
        let is_seen = |state: &AppState| row(state, process).and_then(|row| row.pid) != Some(pid);
        let state = self.act(Action::Kill(process), is_seen)?;
        Ok(json!({ "process": process.to_string(), "pid": pid, "snapshot": state.number }))
    }

    /// Waits until another process serves in the place of the one that was asked to end.
    fn restart(&self, text: &str) -> Result<Value, String> {
        self.only_before_the_end("restart a process")?;
        let before = self.office.snapshot();
        let process = process_named(&before, text)?;
        let old = row(&before, process).and_then(|row| row.pid);
        let serves = |row: &ProcessRow| {
            row.state == ProcessState::Ready && row.pid.is_some() && row.pid != old
        };
        let within = self.effect_within + limits::CONTROL_RESTART_MARGIN;
        let state = self.act_within(Action::Restart(process), within, |state| {
            row(state, process).is_some_and(serves)
        })?;
        let pid = row(&state, process).and_then(|row| row.pid);
        Ok(json!({ "process": process.to_string(), "pid": pid, "snapshot": state.number }))
    }

    /// Waits until the run stands still again, exactly one step further.
    fn step(&self, span: Duration) -> Result<Value, String> {
        let before = self.office.snapshot();
        if before.phase != Phase::Paused {
            let phase = before.phase.name();
            return Err(format!("cannot step: the run is {phase}; pause it first"));
        }
        let until = before.elapsed + span;
        let state = self.act_within(Action::Step(span), self.effect_within + span, |state| {
            state.phase == Phase::Paused && state.elapsed >= until
        })?;
        let elapsed_ns = nanos(state.elapsed);
        let state = (state.phase.name(), state.number);
        Ok(json!({ "state": state.0, "elapsed_ns": elapsed_ns, "snapshot": state.1 }))
    }

    /// Finds a process that lives; returns its pid too.
    fn living(&self, text: &str) -> Result<(ProcessId, u32), String> {
        let state = self.office.snapshot();
        let process = process_named(&state, text)?;
        match row(&state, process) {
            Some(ProcessRow { pid: Some(pid), .. }) => Ok((process, *pid)),
            Some(row) => Err(format!("{process} does not run: it is {}", row.state.name())),
            None => Err(format!("{process} does not run")),
        }
    }
}

fn row(state: &AppState, process: ProcessId) -> Option<&ProcessRow> {
    state.processes.iter().find(|row| row.id == process)
}

/// Finds a service by its name.
fn service_named(state: &AppState, name: &str) -> Result<ServiceId, String> {
    let names = || state.services.iter().map(|service| service.name.as_str());
    let index = names().position(|service| service == name);
    index.and_then(|index| u8::try_from(index).ok()).map(ServiceId).ok_or_else(|| {
        let all: Vec<&str> = names().collect();
        format!("there is no service {name}; services are {}", all.join(", "))
    })
}

/// Finds a process by its name.
fn process_named(state: &AppState, text: &str) -> Result<ProcessId, String> {
    let workers = || numbers(state, |process| matches!(process, ProcessId::Worker(_)));
    let users = || numbers(state, |process| matches!(process, ProcessId::User(_)));
    let process = text.parse().map_err(|_| {
        format!(
            "{text:?} is no process; processes are issuer, users-manager, worker {}, user {}",
            workers(),
            users()
        )
    })?;
    match process {
        ProcessId::Director => {
            return Err(
                "the director is not steered from here; to end the run: ctl stop".to_owned()
            );
        }
        _ if row(state, process).is_some() => {}
        ProcessId::Worker(WorkerId(number)) => {
            return Err(format!("there is no worker {number}; workers are {}", workers()));
        }
        ProcessId::User(UserProcessId(number)) => {
            return Err(format!("there is no user {number}; user processes are {}", users()));
        }
        ProcessId::Issuer | ProcessId::UsersManager => {
            return Err(format!("{process} does not run yet"));
        }
    }
    Ok(process)
}

/// Writes the numbers of the processes of one kind, runs of them as spans.
fn numbers(state: &AppState, is_of_kind: impl Fn(&ProcessId) -> bool) -> String {
    let rows = state.processes.iter().map(|row| row.id).filter(|id| is_of_kind(id));
    let numbers: BTreeSet<u16> = rows.filter_map(ProcessId::number).collect();
    let mut spans: Vec<(u16, u16)> = Vec::new();
    for number in numbers {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => spans.push((number, number)),
        }
    }
    let spans: Vec<String> = (spans.iter())
        .map(|(first, last)| match last - first {
            0 => first.to_string(),
            _ => format!("{first} to {last}"),
        })
        .collect();
    if spans.is_empty() { format::ABSENT.to_owned() } else { spans.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::super::tests::parts;
    use super::*;
    use crate::app::testing;

    fn read(request: Value) -> Result<Wish, String> {
        let (verb, mut keys) = parts(request);
        Wish::read(&verb, &mut keys).unwrap()
    }

    #[test]
    fn what_is_left_out_is_the_usual() {
        let second = Duration::from_secs(1);
        assert_eq!(read(json!({ "do": "strike" })), Ok(Wish::Strike { is_on: true }));
        assert_eq!(read(json!({ "do": "step" })), Ok(Wish::Step(limits::STEP_USUAL)));
        let freeze = json!({ "do": "freeze", "process": "issuer" });
        assert_eq!(read(freeze), Ok(Wish::Freeze("issuer".to_owned(), limits::FREEZE_USUAL)));
        let step = json!({ "do": "step", "span_ns": 1_000_000_000 });
        assert_eq!(read(step), Ok(Wish::Step(second)));
        assert_eq!(read(json!({ "do": "slow", "span_ns": 0 })), Ok(Wish::Slow(Duration::ZERO)));
    }

    #[test]
    fn what_is_beyond_the_bounds_is_refused_with_them() {
        for (request, words) in [
            (json!({ "do": "strike", "on": 1 }), "on must be true or false"),
            (json!({ "do": "block" }), "service must be the name"),
            (json!({ "do": "kill", "process": 3 }), "process must be the name"),
            (json!({ "do": "slow" }), "span_ns must be a whole number from 0 to 1000000000"),
            (json!({ "do": "slow", "span_ns": 1_000_000_001 }), "from 0 to 1000000000"),
            (json!({ "do": "step", "span_ns": 0 }), "from 1000000 to 60000000000"),
            (
                json!({ "do": "freeze", "process": "issuer", "span_ns": -1 }),
                "from 1000000 to 10000000000",
            ),
        ] {
            let error = read(request.clone()).unwrap_err();
            assert!(error.contains(words), "{request}: {error}");
        }
    }

    #[test]
    fn who_asks_for_what_is_not_there_is_told_what_is() {
        let state = testing::app();
        let process = |text: &str| process_named(&state, text);
        assert_eq!(process("worker-3"), Ok(ProcessId::Worker(WorkerId(3))));
        for (text, wanted) in [
            ("worker 9", "there is no worker 9; workers are 0 to 3"),
            ("user 99", "there is no user 99; user processes are 0 to 39"),
            (
                "woker 3",
                "\"woker 3\" is no process; processes are issuer, users-manager, worker 0 to 3, \
                 user 0 to 39",
            ),
            ("director", "the director is not steered from here; to end the run: ctl stop"),
        ] {
            assert_eq!(process(text).unwrap_err(), wanted);
        }
        let none = testing::starting();
        assert_eq!(process_named(&none, "issuer").unwrap_err(), "issuer does not run yet");
        assert!(process_named(&none, "worker 0").unwrap_err().ends_with("workers are –"));
        assert_eq!(service_named(&state, "parcels"), Ok(ServiceId(1)));
        let wanted = "there is no service parcel; services are letters, parcels, passports";
        assert_eq!(service_named(&state, "parcel").unwrap_err(), wanted);
    }

    #[test]
    fn gaps_in_numbers_are_shown() {
        let mut state = testing::app();
        state.processes.retain(|row| row.id != ProcessId::Worker(WorkerId(1)));
        let workers = numbers(&state, |process| matches!(process, ProcessId::Worker(_)));
        assert_eq!(workers, "0, 2 to 3");
    }
}
