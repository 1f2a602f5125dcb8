//! How a running office is asked from outside: `ctl` and `sample` speak with it over a socket.
//!
//! The socket is `run/control.sock` in the data directory, for this user alone. A request is one
//! JSON object on one line, and so is its reply; several may follow one another on a connection.
//!
//! | request | reply, beside `"version":1,"ok":true` |
//! | --- | --- |
//! | `{"do":"status"}` | where the run stands: `state`, `run`, `users`, `workers`, ... |
//! | `{"do":"pause"}`, `{"do":"resume"}` | `state`, `snapshot`: the first one that shows it |
//! | `{"do":"users","n":500}` | `users`: `actual` and `target`, `snapshot` |
//! | `{"do":"workers","n":8}` | `workers`: `actual` and `target`, `snapshot` |
//! | `{"do":"snapshot","dir":"/abs"}` | `folder`: what was written, `snapshot` |
//! | `{"do":"sample","format":"json"}` | `sample`: all figures of the newest snapshot |
//! | `{"do":"sample","format":"table"}` or `"prom"` | `text` |
//! | `{"do":"watch","interval_ms":250}` | looks, one a line, until either end has gone; see [`watch`] |
//! | `{"do":"act","action":"Pause"}` | nothing: the next looks show what came of it |
//! | `{"do":"stop"}` | `state`, `drain_ns`; the socket is closed when the run has ended |
//!
//! How fast users live (speed, rate) is in [`tempo`]. Interventions (strike, block, slow, kill,
//! freeze, ...) have a file of their own, [`interventions`], and so have changes of the
//! configuration, [`changes`].
//!
//! Whatever goes wrong is `{"version":1,"ok":false,"error":"..."}`. A request may say a `version`;
//! another than ours is refused. Keys that a request does not need are refused too, so that a
//! mistake is not taken for something else.
//!
//! Replies wait until a snapshot shows what was asked for, on the connection's own thread. The
//! director sees only an action in its queue, as from a key.

use std::cell::OnceCell;
use std::fmt::Display;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use engine::clock::{Clock, SystemClock, WallTime, nanos};
use engine::limits;
use engine::net::stream::{self, ListenError};
use serde_json::{Map, Value, json};

mod changes;
pub(crate) mod client;
mod interventions;
mod tempo;
pub(crate) mod watch;

use super::action::Action;
use super::events;
use super::export::{self, Exporter};
use super::handle::Office;
use super::server::{self, Serve, Server, Stream, Timed};
use super::state::{AppState, LatencyFigures, Level, Phase, RECENT_SPANS, Source};
use super::summary::{Summary, goal_json};
use super::{crash, prometheus, sample};
use changes::Change;
use interventions::{VERBS, Wish};

/// Which of the recent spans a status tells.
const RECENT_10S: usize = 1;
const _: () = assert!(RECENT_SPANS[RECENT_10S] == 10);

/// The version of requests and replies.
pub(crate) const VERSION: u64 = 1;

/// What replies say beside what snapshots show.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Where metrics are served.
    pub(crate) metrics: Option<SocketAddr>,
    /// Who watches.
    pub(crate) watchers: watch::Watchers,
}

/// Nobody can be listened to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("cannot take requests: {0}")]
    Threads(io::Error),
}

/// Takes requests until the server is dropped.
///
/// # Errors
/// If the socket can't be made.
pub(crate) fn start(
    path: &Path,
    office: Office,
    exporter: Exporter,
    facts: Facts,
) -> Result<Server<UnixStream>, ControlError> {
    let listener = UnixListener::from(stream::listen(path)?);
    let effect_within = limits::CONTROL_EFFECT_WITHIN;
    let desk = Desk { office, exporter: Box::new(exporter), facts, effect_within };
    server::start("control", listener, limits::CONTROL_CONNECTIONS_MAX, desk)
        .map_err(ControlError::Threads)
}

/// Answers requests.
struct Desk {
    office: Office,
    exporter: Box<dyn Export>,
    facts: Facts,
    /// How long an effect may take to be seen.
    effect_within: Duration,
}

/// Writes snapshots to folders.
trait Export: Send + Sync {
    fn export(&self, dir: &Path, state: &Arc<AppState>) -> Result<PathBuf, String>;
}

impl Export for Exporter {
    fn export(&self, dir: &Path, state: &Arc<AppState>) -> Result<PathBuf, String> {
        let (done, written) = channel();
        // That thread, unlike this one, is nice to the run and is waited for at its end.
        let begun = self.write_beside(dir.to_owned(), Arc::clone(state), move |written| {
            // Nobody waits any more who was cut off.
            let _ = done.send(written);
        });
        let written = match begun {
            Ok(()) => written.recv().map_err(|_| "the export was cut short".to_owned())?,
            Err(busy) => Err(busy),
        };
        let said = export::said(&written);
        written.map_err(|_| said)
    }
}

impl<S: Stream> Serve<S> for Desk {
    fn serve(&self, stream: &mut S) {
        crash::failpoint("control");
        let Ok(mut writer) = stream.duplicate() else { return };
        let mut reader = BufReader::new(Timed::new(stream, SystemClock.now()));
        loop {
            reader.get_mut().until = SystemClock.now() + limits::CONTROL_IDLE_MAX;
            if !reader.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
                return;
            }
            reader.get_mut().until = SystemClock.now() + limits::CONTROL_LINE_WITHIN;
            let mut line = Vec::new();
            let most = limits::CONTROL_REQUEST_BYTES_MAX;
            let read = reader.by_ref().take(most).read_until(b'\n', &mut line);
            let is_whole = read.is_ok() && line.ends_with(b"\n");
            if let Ok(Request::Watch(interval)) = Request::read(&line) {
                if let Some(watching) = self.facts.watchers.enter() {
                    return watch::serve(&self.office, interval, watching, &mut writer);
                }
                let text = "too many dashboards are attached; close one and try again";
                let until = SystemClock.now() + limits::CONTROL_LINE_WITHIN;
                let _ = write_line(&mut Timed::new(&mut writer, until), &refusal(text));
                return;
            }
            let reply = if is_whole {
                self.reply(&line)
            } else if line.len() as u64 == most {
                refusal("the request is too long")
            } else {
                refusal("the request is not a whole line")
            };
            let until = SystemClock.now() + limits::CONTROL_LINE_WITHIN;
            // Where a request ends that is not a line nobody knows.
            if !write_line(&mut Timed::new(&mut writer, until), &reply) || !is_whole {
                return;
            }
        }
    }

    fn turn_away(&self, stream: &mut S) {
        let busy = refusal("too many connections; try again");
        // It fits the empty buffer of a new connection; who does not read it is gone anyway.
        let _ = stream.write_all(format!("{busy}\n").as_bytes());
    }
}

fn write_line(out: &mut impl Write, reply: &Value) -> bool {
    out.write_all(format!("{reply}\n").as_bytes()).is_ok()
}

fn refusal(error: impl Into<String>) -> Value {
    json!({ "version": VERSION, "ok": false, "error": error.into() })
}

/// Why a request was not carried out.
struct Refused {
    text: String,
    /// Whoever asked made a mistake: the same would be exit code 2 at a start.
    is_usage: bool,
}

impl<T: Into<String>> From<T> for Refused {
    fn from(text: T) -> Self {
        Self { text: text.into(), is_usage: false }
    }
}

/// A request that was understood.
#[derive(Clone, Debug, PartialEq)]
enum Request {
    Status,
    Pause,
    Resume,
    Users(u32),
    Workers(u16),
    Snapshot(PathBuf),
    Sample(Format),
    Intervene(Wish),
    Change(Change),
    Tempo(tempo::Wish),
    Watch(Duration),
    Act(Action),
    Stop,
}

/// How a sample is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Table,
    Prometheus,
}

impl Request {
    fn read(line: &[u8]) -> Result<Self, String> {
        let json: Value =
            serde_json::from_slice(line).map_err(|error| format!("this is not JSON: {error}"))?;
        let Value::Object(mut keys) = json else {
            return Err("a request is a JSON object".to_owned());
        };
        match keys.remove("version") {
            None => {}
            Some(version) if version == VERSION => {}
            Some(version) => {
                return Err(format!(
                    "version {version} is not spoken here, only {VERSION}; \
                     use the postoffice-tui that runs the office"
                ));
            }
        }
        let verb = keys.remove("do").ok_or("the key do is missing")?;
        let word = verb.as_str().unwrap_or_default();
        let request = match word {
            "status" => Self::Status,
            "pause" => Self::Pause,
            "resume" => Self::Resume,
            "users" => Self::Users(number(&mut keys, 0, limits::USERS_MAX)?),
            "workers" => Self::Workers(number(&mut keys, 1, limits::WORKERS_MAX)?),
            "snapshot" => Self::Snapshot(directory(&mut keys)?),
            "sample" => Self::Sample(format(&mut keys)?),
            "watch" => Self::Watch(interval(&mut keys)?),
            "act" => Self::Act(action(&mut keys)?),
            "stop" => Self::Stop,
            _ => {
                if let Some(wish) = Wish::read(word, &mut keys) {
                    Self::Intervene(wish?)
                } else if let Some(change) = Change::read(word, &mut keys) {
                    Self::Change(change?)
                } else if let Some(wish) = tempo::Wish::read(word, &mut keys) {
                    Self::Tempo(wish?)
                } else {
                    return Err(format!(
                        "{verb} is not known; known are status, pause, resume, users, workers, \
                         {}, {}, {VERBS}, snapshot, sample, watch, act and stop",
                        tempo::VERBS,
                        changes::VERBS
                    ));
                }
            }
        };
        match keys.keys().next() {
            None => Ok(request),
            Some(key) => Err(format!("{verb} takes no {key}")),
        }
    }
}

fn number<T: TryFrom<u64> + PartialOrd + Display>(
    keys: &mut Map<String, Value>,
    low: T,
    high: T,
) -> Result<T, String> {
    let expected = || format!("n must be a whole number from {low} to {high}");
    let number = keys.remove("n").and_then(|n| n.as_u64()).ok_or_else(expected)?;
    let number = T::try_from(number).map_err(|_| expected())?;
    if number < low || number > high { Err(expected()) } else { Ok(number) }
}

fn directory(keys: &mut Map<String, Value>) -> Result<PathBuf, String> {
    let dir = keys.remove("dir").and_then(|dir| dir.as_str().map(PathBuf::from));
    dir.filter(|dir| dir.is_absolute()).ok_or_else(|| "dir must be an absolute path".to_owned())
}

fn interval(keys: &mut Map<String, Value>) -> Result<Duration, String> {
    let (least, most) = (limits::WATCH_INTERVAL_MIN, limits::WATCH_INTERVAL_MAX);
    let interval = keys.remove("interval_ms").and_then(|ms| ms.as_u64()).map(Duration::from_millis);
    interval.filter(|interval| (least..=most).contains(interval)).ok_or_else(|| {
        let (least, most) = (least.as_millis(), most.as_millis());
        format!("interval_ms must be a whole number from {least} to {most}")
    })
}

fn action(keys: &mut Map<String, Value>) -> Result<Action, String> {
    let action = keys.remove("action").ok_or("the key action is missing")?;
    serde_json::from_value(action).map_err(|error| format!("action is not understood: {error}"))
}

fn format(keys: &mut Map<String, Value>) -> Result<Format, String> {
    let format = keys.remove("format").unwrap_or(Value::Null);
    match format.as_str() {
        Some("json") => Ok(Format::Json),
        Some("table") => Ok(Format::Table),
        Some("prom") => Ok(Format::Prometheus),
        _ => Err("format must be json, table or prom".to_owned()),
    }
}

impl Desk {
    /// Carries a request out and returns what to say.
    fn reply(&self, line: &[u8]) -> Value {
        let request = Request::read(line).map_err(Refused::from);
        match request.and_then(|request| self.carry_out(request)) {
            Ok(mut reply) => {
                let mut whole = json!({ "version": VERSION, "ok": true });
                if let (Value::Object(whole), Value::Object(reply)) = (&mut whole, &mut reply) {
                    whole.append(reply);
                }
                whole
            }
            Err(Refused { text, is_usage: false }) => refusal(text),
            Err(Refused { text, is_usage: true }) => {
                let mut reply = refusal(text);
                reply["usage"] = json!(true);
                reply
            }
        }
    }

    fn carry_out(&self, request: Request) -> Result<Value, Refused> {
        match request {
            Request::Status => Ok(status(&self.office.snapshot(), &self.facts)),
            Request::Pause => {
                self.only_when_open("pause")?;
                let state = self.act(Action::Pause, |state| state.phase == Phase::Paused)?;
                Ok(json!({ "state": state.phase.name(), "snapshot": state.number }))
            }
            Request::Resume => {
                self.only_when_open("resume")?;
                let state = self.act(Action::Resume, |state| state.phase == Phase::Running)?;
                Ok(json!({ "state": state.phase.name(), "snapshot": state.number }))
            }
            Request::Users(users) => {
                self.only_before_the_end("change users")?;
                let state = self.resize(Action::SetUsers(users), users, |state| state.users)?;
                Ok(json!({ "users": level(state.users), "snapshot": state.number }))
            }
            Request::Workers(workers) => {
                self.only_before_the_end("change workers")?;
                let action = Action::SetWorkers(workers);
                let state = self.resize(action, workers.into(), |state| state.workers)?;
                Ok(json!({ "workers": level(state.workers), "snapshot": state.number }))
            }
            Request::Snapshot(dir) => {
                let state = self.office.snapshot();
                // The program may end before it is written.
                if self.has_ended() {
                    return Err("cannot export: the run is stopped".into());
                }
                let folder = self.exporter.export(&dir, &state)?;
                log::info!(target: "control", "exported: folder={}", folder.display());
                Ok(json!({ "folder": folder.to_string_lossy(), "snapshot": state.number }))
            }
            Request::Sample(format) => Ok(sampled(&self.office, format)),
            Request::Intervene(wish) => Ok(self.intervene(wish)?),
            Request::Change(change) => self.change(change),
            Request::Tempo(wish) => Ok(self.set_tempo(wish)?),
            Request::Watch(_) => Err("watch needs a connection".to_owned().into()),
            Request::Act(action) => {
                self.office.submit(action).map_err(|refused| refused.to_string())?;
                Ok(json!({}))
            }
            Request::Stop => {
                let has_begun = |state: &AppState| matches!(state.phase, Phase::Draining { .. });
                let state = match self.act(Action::Drain, has_begun) {
                    Ok(state) => state,
                    // A short end may have passed between two snapshots.
                    Err(_) if self.has_ended() => self.office.snapshot(),
                    Err(error) => return Err(error.into()),
                };
                Ok(json!({ "state": state.phase.name(), "drain_ns": nanos(state.run.drain) }))
            }
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self.office.snapshot().phase, Phase::Stopped(_))
    }

    fn only_when_open(&self, what: &str) -> Result<(), String> {
        match &self.office.snapshot().phase {
            Phase::Running | Phase::Paused => Ok(()),
            phase => Err(format!("cannot {what}: the run is {}", phase.name())),
        }
    }

    fn only_before_the_end(&self, what: &str) -> Result<(), String> {
        match &self.office.snapshot().phase {
            phase @ (Phase::Draining { .. } | Phase::Stopped(_)) => {
                Err(format!("cannot {what}: the run is {}", phase.name()))
            }
            _ => Ok(()),
        }
    }

    /// Asks for an action and waits until a snapshot shows it.
    fn act(
        &self,
        action: Action,
        is_seen: impl Fn(&AppState) -> bool,
    ) -> Result<Arc<AppState>, String> {
        self.act_within(action, self.effect_within, is_seen)
    }

    /// The same for what may take longer. What the director refuses is told at once.
    fn act_within(
        &self,
        action: Action,
        within: Duration,
        is_seen: impl Fn(&AppState) -> bool,
    ) -> Result<Arc<AppState>, String> {
        let told = |state: &AppState| state.events.last().map_or(0, |event| event.number);
        let before = told(&self.office.snapshot());
        let refused = |state: &AppState| {
            let refusal = events::refusal(&action, "");
            let events = state.events.iter().rev().take_while(|event| event.number > before);
            let mut own = events.filter(|event| event.who == Source::Ctl);
            own.find(|event| event.text.starts_with(&refusal)).map(|event| event.text.clone())
        };
        self.office.submit(action.clone()).map_err(|busy| busy.to_string())?;
        let until = SystemClock.now() + within;
        let state = self.office.wait_for(until, |state| is_seen(state) || refused(state).is_some());
        match state {
            Ok(state) => match refused(&state).filter(|_| !is_seen(&state)) {
                Some(refusal) => Err(refusal),
                None => Ok(state),
            },
            Err(state) => Err(format!(
                "{action} was asked for but is not seen within {within:?}; the run is {}",
                state.phase.name()
            )),
        }
    }

    /// Asks for another number and waits until it is the target. Loads that nobody steers may
    /// keep another number: then what the director has made of it is told.
    fn resize(
        &self,
        action: Action,
        wanted: u32,
        level: fn(&AppState) -> Level,
    ) -> Result<Arc<AppState>, String> {
        // The newest snapshot when the action is in the queue; one more may be under way then.
        let queued_at = OnceCell::new();
        self.act(action, |state| {
            let queued_at = *queued_at.get_or_init(|| state.number);
            level(state).target == Some(wanted) || state.number >= queued_at + 2
        })
    }
}

fn level(level: Level) -> Value {
    json!({ "actual": level.actual, "target": level.target })
}

fn sampled(office: &Office, format: Format) -> Value {
    let state = office.snapshot();
    let text = match format {
        Format::Json => return json!({ "sample": sample::json(&state) }),
        Format::Prometheus => prometheus::render_at(&state, WallTime::now()),
        Format::Table => Summary::new(state).to_text(),
    };
    json!({ "text": text })
}

/// Returns where a run stands.
fn status(state: &AppState, facts: &Facts) -> Value {
    let row = |name: &str| state.latencies.iter().find(|row| row.name == name);
    let of = |figures: LatencyFigures| figures.spread.map(|spread| nanos(spread.p99));
    let p99 = |name| row(name).and_then(|row| of(row.run));
    let recent = |name| row(name).and_then(|row| of(row.recent[RECENT_10S]));
    let notice = state.notices.last();
    let deviations = state.settings.deviations();
    let deviations: Vec<String> = deviations.iter().map(ToString::to_string).collect();
    json!({
        "state": state.phase.name(),
        "pid": std::process::id(),
        "run": state.run.id_text(),
        "scenario": state.run.scenario,
        "seed": state.run.seed,
        "snapshot": state.number,
        "elapsed_ns": nanos(state.elapsed),
        "duration_ns": state.run.duration.map(nanos),
        "users": level(state.users),
        "workers": level(state.workers),
        "seats": { "busy": state.seats.busy, "staffed": state.seats.staffed },
        "offered_per_s": state.rates.offered,
        "served_per_s": state.rates.served,
        "rejected_per_s": state.rates.rejected,
        "utilization": state.rates.utilization,
        "waiting": state.totals.waiting,
        "wait_p99_ns": p99("wait"),
        "sojourn_p99_ns": p99("sojourn"),
        "response_p99_ns": p99("response"),
        "last_10s": {
            "wait_p99_ns": recent("wait"),
            "sojourn_p99_ns": recent("sojourn"),
            "response_p99_ns": recent("response"),
        },
        "slo": state.slos.iter().map(goal_json).collect::<Vec<_>>(),
        "reload": state.reload.as_deref().map(changes::pending_json),
        "deviations": deviations,
        "metrics": facts.metrics.map(|address| address.to_string()),
        "data_dir": state.run.data_dir,
        "failure": state.failure,
        "notice": notice.map(|notice| notice.text.clone()),
    })
}

#[cfg(test)]
mod tests;
