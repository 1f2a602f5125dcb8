//! A second dashboard on a running office: what comes over the control socket is published here,
//! what people ask for is passed on.
//!
//! Two threads: one reads looks ([`control::watch`](super::control)) and keeps only the newest
//! snapshot, one publishes it and passes actions on. A connection that breaks is made again as long
//! as the same run answers; when it does not, the last snapshot stays and says that nobody is there
//! any more.

use std::io::BufReader;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use color_eyre::eyre::{Result, WrapErr};
use engine::clock::{Clock, SystemClock, WallTime, sleep_until};
use engine::limits;
use serde_json::json;

use super::control::client::{AskError, Client, ask, read_line, refusal};
use super::control::watch::Look;
use super::handle::{Access, Desk};
use super::logging;
use super::registry::Instance;
use super::state::{AppState, Attached, Notice, Phase, Severity, View};
use super::viewer::{self, Bell, Ring, Viewer};
use super::wire::FORM;

/// How often snapshots are asked for.
const INTERVAL: Duration = limits::TELEMETRY_INTERVAL;
/// How long the reply to an action may take: it is only put into a queue.
const WITHIN: Duration = limits::CONTROL_PATIENCE;
/// Times that a broken connection is made again, and how long that is waited for.
const RETRIES: u32 = 3;
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Notices of this end that are kept.
const NOTICES_MAX: usize = 8;

/// A stream of looks.
struct Watch {
    reader: BufReader<UnixStream>,
    /// What came of the next line.
    line: Vec<u8>,
    socket: PathBuf,
    state: Option<AppState>,
    skipped: u64,
    /// Lines of the office's log that were repeated here.
    told: u64,
}

impl Watch {
    /// Connects, and reads the first look; so many lines of the log are known already.
    fn open(instance: &Instance, told: u64) -> Result<Self, AskError> {
        let client = Client::connect(&instance.socket)?;
        let interval_ms = u64::try_from(INTERVAL.as_millis()).unwrap_or(u64::MAX);
        let request = json!({ "do": "watch", "interval_ms": interval_ms });
        let reader = BufReader::new(client.watch(&request, SystemClock.now() + WITHIN)?);
        let socket = instance.socket.clone();
        let mut watch = Self { reader, line: Vec::new(), socket, state: None, skipped: 0, told };
        watch.next()?;
        Ok(watch)
    }

    /// Waits for the next snapshot; what was logged meanwhile is logged here.
    fn next(&mut self) -> Result<&AppState, AskError> {
        let within = limits::WATCH_SILENT_MAX + INTERVAL + WITHIN;
        read_line(&mut self.reader, &mut self.line, within, &self.socket)?;
        let line = std::mem::take(&mut self.line);
        let look: Look = serde_json::from_slice(&line).map_err(|_| refusal(&line))?;
        if look.form != FORM {
            return Err(AskError::Foreign);
        }
        let logs = look.logs.behind(self.told);
        logging::repeat(&logs);
        self.told = logs.told;
        self.skipped = look.skipped;
        let state = look.update.apply(self.state.as_ref()).map_err(|_| AskError::Foreign)?;
        Ok(self.state.insert(state))
    }
}

/// What the reading thread has to say.
#[derive(Default)]
struct News {
    /// A snapshot that was not published yet, and how many were skipped before it.
    state: Option<(AppState, u64)>,
    /// Why nothing comes.
    lost: Option<String>,
    is_new: bool,
}

/// The newest news and who is to be told that there are some.
#[derive(Clone)]
struct Mailbox {
    news: Arc<Mutex<News>>,
    ring: Ring,
    /// The connection, to be cut at the end.
    wire: Arc<Mutex<Wire>>,
}

/// A connection that another thread may cut.
#[derive(Default)]
struct Wire {
    stream: Option<UnixStream>,
    is_cut: bool,
}

impl Mailbox {
    fn seen(&self, watch: &Watch) {
        let Some(state) = watch.state.clone() else { return };
        let news = News { state: Some((state, watch.skipped)), lost: None, is_new: true };
        *self.news.lock().unwrap_or_else(PoisonError::into_inner) = news;
        self.ring.ring();
    }

    fn lost(&self, why: String) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        (news.lost, news.is_new) = (Some(why), true);
        drop(news);
        self.ring.ring();
    }

    /// Has a connection cut at the end; returns whether that has not come yet.
    fn keep(&self, watch: &Watch) -> bool {
        let mut wire = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
        wire.stream = watch.reader.get_ref().try_clone().ok();
        !wire.is_cut
    }

    fn is_cut(&self) -> bool {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner).is_cut
    }

    fn cut(&self) {
        let mut wire = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
        wire.is_cut = true;
        if let Some(stream) = &wire.stream {
            // One that the office has closed needs no end.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Attaches a front end to a running office.
///
/// # Errors
/// [`AskError`] if the office does not answer or speaks another version.
pub(crate) fn attach(instance: &Instance, may_act: bool) -> Result<Viewer> {
    let watch = Watch::open(instance, 0)?;
    let view = Attached { pid: instance.pid, may_act, skipped: 0, lost: None };
    let first = watch.state.clone().expect("opening reads the first look");
    let first = AppState { view: View::Attached(view.clone()), ..first };
    let access = if may_act { Access::Control } else { Access::ReadOnly };
    let instance = instance.clone();
    let tell = move |desk: Desk, bell: Bell| {
        Teller::new(instance, view, desk, bell).run(watch);
        Ok(())
    };
    viewer::start("attach", first, access, tell).wrap_err("cannot start a thread")
}

/// Publishes news and passes actions on.
struct Teller {
    instance: Instance,
    desk: Desk,
    bell: Bell,
    view: Attached,
    mailbox: Mailbox,
    /// The newest snapshot as it came.
    state: Option<AppState>,
    notices: Vec<Notice>,
    /// What the last loss was told with.
    loss: Option<Notice>,
}

impl Teller {
    fn new(instance: Instance, view: Attached, desk: Desk, bell: Bell) -> Self {
        let (news, ring) = (Arc::default(), bell.ringer());
        let mailbox = Mailbox { news, ring, wire: Arc::default() };
        Self { instance, desk, bell, view, mailbox, state: None, notices: Vec::new(), loss: None }
    }

    fn run(mut self, watch: Watch) {
        self.state.clone_from(&watch.state);
        self.mailbox.keep(&watch);
        let (mailbox, instance) = (self.mailbox.clone(), self.instance.clone());
        let reading = std::thread::Builder::new().name("watch".to_owned());
        let reader = match reading.spawn(move || read(watch, &instance, &mailbox)) {
            Ok(reader) => Some(reader),
            Err(error) => {
                self.view.lost = Some(format!("cannot start a thread: {error}"));
                self.publish();
                None
            }
        };
        loop {
            self.pass_actions_on();
            if self.bell.is_over() {
                break;
            }
            if self.take_news() {
                self.publish();
            }
            self.bell.wait(None);
        }
        self.mailbox.cut();
        // One that panicked has told why.
        let _ = reader.map(JoinHandle::join);
    }

    fn take_news(&mut self) -> bool {
        let mut news = self.mailbox.news.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((state, skipped)) = news.state.take() {
            (self.state, self.view.skipped) = (Some(state), skipped);
        }
        if news.is_new && self.view.lost != news.lost {
            self.view.lost.clone_from(&news.lost);
            self.loss = news.lost.clone().map(|text| {
                log::warn!(target: "attach", "{text}");
                Notice { wall: WallTime::now(), severity: Severity::Error, text }
            });
        }
        std::mem::take(&mut news.is_new)
    }

    fn publish(&self) {
        let Some(state) = &self.state else { return };
        let mut state = AppState { view: View::Attached(self.view.clone()), ..state.clone() };
        state.notices.extend(self.notices.iter().chain(&self.loss).cloned());
        self.desk.publish(state);
    }

    fn pass_actions_on(&mut self) {
        while let Some((_, action)) = self.desk.next_action() {
            let request = json!({ "do": "act", "action": action });
            let told = match &self.view.lost {
                Some(lost) => Err(lost.clone()),
                None => {
                    ask(&self.instance.socket, &request, WITHIN).map_err(|error| error.to_string())
                }
            };
            if let Err(error) = told {
                log::warn!(target: "attach", "{action} was not done: {error}");
                if self.notices.len() == NOTICES_MAX {
                    self.notices.remove(0);
                }
                let (wall, severity) = (WallTime::now(), Severity::Warning);
                let text = format!("{action} was not done: {error}");
                self.notices.push(Notice { wall, severity, text });
                self.publish();
            }
        }
    }
}

/// Reads looks until nobody is there any more.
fn read(mut watch: Watch, instance: &Instance, mailbox: &Mailbox) {
    loop {
        match watch.next() {
            Ok(state) => {
                let has_ended = matches!(state.phase, Phase::Stopped(_));
                mailbox.seen(&watch);
                if has_ended {
                    return mailbox.lost("the office has ended; this is its last state".to_owned());
                }
            }
            // It may have been stopped, and go on.
            Err(AskError::Silent { within }) => {
                mailbox.lost(format!("the office has said nothing for {within:?}"));
            }
            Err(_) if mailbox.is_cut() => return,
            Err(error) => match again(&watch, instance, &error) {
                Ok(next) => {
                    if !mailbox.keep(&next) {
                        return;
                    }
                    watch = next;
                    mailbox.seen(&watch);
                }
                Err(lost) => return mailbox.lost(lost),
            },
        }
    }
}

/// Connects again to the same run, or says why that is not possible.
fn again(watch: &Watch, instance: &Instance, error: &AskError) -> Result<Watch, String> {
    let mut error = error.to_string();
    for _ in 0..RETRIES {
        match Watch::open(instance, watch.told) {
            Ok(next) => {
                let run = |watch: &Watch| watch.state.as_ref().map(|state| state.run.id);
                if run(&next) != run(watch) {
                    return Err("the office has ended, and another runs in its place; \
                         attach again to see it"
                        .to_owned());
                }
                log::warn!(target: "attach", "the connection was made again after: {error}");
                return Ok(next);
            }
            Err(gone @ AskError::Gone(_)) => {
                error = gone.to_string();
                break;
            }
            Err(other) => error = other.to_string(),
        }
        sleep_until(SystemClock.now() + RETRY_AFTER);
    }
    Err(format!("{error}; this is its last known state"))
}
