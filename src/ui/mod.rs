//! The dashboard: draws the director's snapshots and turns keys into actions.
//!
//! Threads: this one keeps the model and builds frames; one reads keys and blocks in that; one
//! writes to the terminal and blocks in that; the director publishes snapshots. They meet in one
//! channel. A frame is built only if something may have changed and the writer is free, and
//! written only if something has.

use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use color_eyre::eyre::Result;
use crossterm::event::{Event, KeyEventKind};
use engine::clock::{Clock, SystemClock, Time, WallTime};
use engine::config::Effective;
use engine::ids::TicketId;
use engine::storage::LogError;
use engine::supervisor::signals::Signal;
use engine::{observe, timed};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

mod ask;
mod bars;
mod find;
pub(crate) mod guard;
mod key;
mod keys;
mod layout;
mod meter;
mod model;
mod mouse;
mod overlays;
mod panels;
mod registry;
mod shot;
mod terminal;
#[cfg(test)]
mod testing;
mod theme;
mod update;
mod view;
mod widgets;

use crate::app::action::Action;
use crate::app::cli::KeysFormat;
use crate::app::exit::Exit;
use crate::app::export::{self, ExportError, Exporter};
use crate::app::handle::Office;
use crate::app::log_commands::{self, History};
use crate::app::state::{Phase, Severity};
use crate::app::{self, Wishes, format};
use guard::Guard;
use model::{Detail, Effect, Overlay, UiState};
use registry::Keymap;
use terminal::{RawOut, Screen, Writer, Written};
use theme::Theme;
use view::Scene;

/// How often the loop looks whether the director is still there.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// The least time between two frames.
const FRAME_INTERVAL: Duration = Duration::from_millis(33);

/// What the loop is told.
enum Msg {
    Terminal(Event),
    /// The director published a snapshot.
    Snapshot,
    /// The writer can take a frame.
    Free,
    /// Nobody reads what is written, or keys can't be read any more.
    Gone,
    Signal(Signal),
    /// An export was written, or not.
    Exported(Result<PathBuf, ExportError>),
    /// The log was searched for a ticket.
    Searched(u64, Result<History, LogError>),
}

/// Returns whether there is a terminal to draw on and to read keys from.
pub(crate) fn is_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Returns every command with its keys, as `postoffice-tui keys` prints it.
pub(crate) fn keys(format: KeysFormat) -> String {
    keys::list(&Keymap::default(), format)
}

/// Returns the dashboard's part of the manual page.
pub(crate) fn manual() -> String {
    keys::manual()
}

/// What a dashboard shows and steers.
pub(crate) struct Stage<'a> {
    /// Where snapshots come from and actions go to.
    pub(crate) office: &'a Office,
    /// What writes snapshots to files.
    pub(crate) exporter: &'a Exporter,
    /// Whether there will be no more snapshots.
    pub(crate) has_ended: &'a dyn Fn() -> bool,
    /// Whether the dashboard ends with the run; otherwise it stays until a person quits.
    pub(crate) ends_with_run: bool,
}

/// The loop's mailbox; made before whatever tells it of signals.
pub(crate) struct Mailbox {
    sender: Sender<Msg>,
    receiver: Receiver<Msg>,
}

impl Mailbox {
    /// Returns an empty one.
    pub(crate) fn new() -> Self {
        let (sender, receiver) = channel();
        Self { sender, receiver }
    }

    /// Returns what is to be told of every signal.
    pub(crate) fn on_signal(&self) -> impl Fn(Signal) + Send + 'static {
        let signals = self.sender.clone();
        // A dashboard that has ended needs no signal.
        move |signal| drop(signals.send(Msg::Signal(signal)))
    }
}

/// Runs an office with a dashboard to its end and returns the exit code.
///
/// # Errors
/// If the office can't be started, or the terminal can't be used.
pub(crate) fn run(effective: &Effective, wishes: Wishes) -> Result<Exit> {
    let mailbox = Mailbox::new();
    let app = app::start(effective, wishes, mailbox.on_signal())?;
    let stage = Stage {
        office: app.office(),
        exporter: app.exporter(),
        has_ended: &|| app.has_ended(),
        ends_with_run: true,
    };
    let shown = perform(&stage, mailbox);
    if !matches!(shown, Ok(Ok(()))) {
        // The office ends in good order even if the dashboard does not.
        let _ = app.office().submit(Action::Drain);
    }
    let finished = app.finish();
    match shown {
        Ok(shown) => shown?,
        Err(_) => return Ok(Exit::Panic),
    }
    let finished = finished?;
    terminal::say(&finished.summary.to_text());
    if let Some(text) = finished.export_text() {
        terminal::say(&format!("{text}\n"));
    }
    Ok(finished.exit())
}

/// Shows something on the terminal until it ends, and gives the terminal back whatever happens. The
/// outer result tells of a panic of the dashboard.
pub(crate) fn perform(stage: &Stage<'_>, mailbox: Mailbox) -> std::thread::Result<Result<()>> {
    terminal::leave_on_panic();
    let guard = Guard::start();
    let shown = catch_unwind(AssertUnwindSafe(|| show(stage, mailbox)));
    terminal::leave();
    if let Ok(guard) = guard {
        guard.dismiss();
    }
    shown
}

/// Shows an office until it has ended or the terminal is gone.
fn show(stage: &Stage<'_>, mailbox: Mailbox) -> Result<()> {
    let Mailbox { sender, receiver } = mailbox;
    terminal::enter()?;
    let news = sender.clone();
    stage.office.on_snapshot(move || drop(news.send(Msg::Snapshot)));
    let free = sender.clone();
    let writer = Writer::start(RawOut, move |is_alive| {
        let _ = free.send(if is_alive { Msg::Free } else { Msg::Gone });
    })?;
    let news = sender.clone();
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || read_keys(&sender))?;
    let theme = Theme::from_env(|name| std::env::var(name).ok());
    let ui = UiState::new(theme, Keymap::default());
    let mut screen = Screen::new();
    screen.mouse(ui.has_mouse);
    Dashboard {
        stage,
        office: stage.office,
        news,
        ui,
        screen,
        writer,
        drawn_at: Time::ZERO,
        is_dirty: true,
    }
    .run(&receiver)
}

fn read_keys(sender: &Sender<Msg>) {
    loop {
        let msg = crossterm::event::read().map_or(Msg::Gone, Msg::Terminal);
        let is_gone = matches!(msg, Msg::Gone);
        if sender.send(msg).is_err() || is_gone {
            return;
        }
    }
}

/// Returns whether a test asks for a failure that can't be had otherwise; never in a release.
fn is_failpoint(name: &str) -> bool {
    cfg!(debug_assertions)
        && std::env::var_os("POSTOFFICE_FAILPOINT").is_some_and(|wanted| wanted == name)
}

/// A dashboard on a terminal.
struct Dashboard<'a> {
    stage: &'a Stage<'a>,
    office: &'a Office,
    news: Sender<Msg>,
    ui: UiState,
    screen: Screen,
    writer: Writer,
    drawn_at: Time,
    is_dirty: bool,
}

impl Dashboard<'_> {
    fn run(mut self, receiver: &Receiver<Msg>) -> Result<()> {
        loop {
            let now = SystemClock.now();
            self.is_dirty |= self.ui.tick(now);
            self.draw(now);
            let has_ended = matches!(self.office.snapshot().phase, Phase::Stopped(_));
            if self.stage.ends_with_run && (has_ended || (self.stage.has_ended)()) {
                return Ok(());
            }
            match receiver.recv_timeout(self.wait(now)) {
                Ok(msg) => {
                    if !self.take(msg)? {
                        return Ok(());
                    }
                    while let Ok(msg) = receiver.try_recv() {
                        if !self.take(msg)? {
                            return Ok(());
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// How long to wait for news.
    fn wait(&self, now: Time) -> Duration {
        let frame = if self.is_dirty && self.writer.is_free() {
            self.drawn_at + FRAME_INTERVAL
        } else {
            Time::NEVER
        };
        frame.min(self.ui.deadline()).since(now).min(LOOK_INTERVAL)
    }

    /// Acts on a message; returns whether the dashboard goes on.
    fn take(&mut self, msg: Msg) -> Result<bool> {
        let now = SystemClock.now();
        match msg {
            Msg::Snapshot => {
                self.is_dirty = true;
                if !self.writer.is_free() {
                    self.ui.meter.skip();
                }
            }
            Msg::Exported(exported) => self.say_exported(&exported, now),
            Msg::Searched(id, found) => self.show_ticket(id, found, now),
            Msg::Free => {}
            Msg::Gone => {
                if self.stage.ends_with_run {
                    log::warn!("the terminal is gone; the run ends");
                    let _ = self.office.submit(Action::Drain);
                }
                return Ok(false);
            }
            Msg::Terminal(Event::Key(key)) if key.kind != KeyEventKind::Release => {
                self.is_dirty = true;
                let state = self.office.snapshot();
                for effect in self.ui.key(key, &state, now) {
                    self.carry_out(effect, now)?;
                }
                // A key is answered at once.
                self.drawn_at = Time::ZERO;
            }
            Msg::Terminal(Event::Mouse(mouse)) => {
                self.is_dirty = true;
                let state = self.office.snapshot();
                for effect in self.ui.mouse(mouse, &state, now) {
                    self.carry_out(effect, now)?;
                }
                self.drawn_at = Time::ZERO;
            }
            Msg::Terminal(Event::Resize(..)) => self.is_dirty = true,
            Msg::Terminal(_) => {}
            Msg::Signal(Signal::Suspend) => self.suspend()?,
            Msg::Signal(Signal::Continue) => {
                self.enter_again()?;
            }
            Msg::Signal(Signal::Reload) if is_failpoint("dashboard-panic") => {
                panic!("asked for by a failpoint");
            }
            Msg::Signal(Signal::Terminate { .. }) if !self.stage.ends_with_run => {
                return Ok(false);
            }
            Msg::Signal(_) => self.is_dirty = true,
        }
        Ok(true)
    }

    fn carry_out(&mut self, effect: Effect, now: Time) -> Result<()> {
        match effect {
            Effect::Submit(action) => {
                let text = action.to_string();
                match self.office.submit(action) {
                    Ok(()) => self.ui.say(Severity::Info, text, now),
                    Err(busy) => self.ui.say(Severity::Warning, busy.to_string(), now),
                }
            }
            Effect::Export(dir) => self.export(dir, now),
            Effect::FindTicket(id) => self.find_ticket(id, now),
            Effect::Copy(text) => self.screen.copy(&text),
            Effect::Mouse(is_ours) => self.screen.mouse(is_ours),
            Effect::SaveScreen => self.save_screen(now),
            Effect::Repaint => self.repaint(),
            Effect::Suspend => self.suspend()?,
        }
        Ok(())
    }

    /// Writes the newest snapshot to a new folder, on another thread.
    fn export(&mut self, dir: Option<PathBuf>, now: Time) {
        let (exporter, news) = (self.stage.exporter, self.news.clone());
        let done = move |exported| {
            // A dashboard that has ended needs no word.
            let _ = news.send(Msg::Exported(exported));
        };
        let state = self.office.snapshot();
        let dir = dir.unwrap_or_else(|| exporter.usual_place());
        match exporter.write_beside(dir, state, done) {
            Ok(()) => self.ui.say(Severity::Info, "an export is being written", now),
            Err(busy) => self.ui.say(Severity::Warning, busy.to_string(), now),
        }
    }

    /// Writes the screen as it is, without what lies over it, to three files beside the exports.
    fn save_screen(&mut self, now: Time) {
        let live = self.office.snapshot();
        let mut buf = Buffer::empty(self.ui.area);
        view::draw(Scene { ui: &self.ui, app: self.ui.shown(&live), live: &live }, &mut buf);
        let files = [
            ("screen.txt", "the screen as text", shot::text(&buf)),
            ("screen.ans", "the screen with its colours, for cat", shot::ansi(&buf)),
            ("screen.svg", "the screen as a picture", shot::svg(&buf)),
        ];
        let name = format!("{}-screen", format::stamp(live.wall));
        let written = self.stage.exporter.write_texts(&name, &files);
        self.say_exported(&written, now);
    }

    fn say_exported(&mut self, exported: &Result<PathBuf, ExportError>, now: Time) {
        let text = export::said(exported);
        let severity = if exported.is_ok() {
            log::info!(target: "dashboard", "{text}");
            Severity::Info
        } else {
            log::warn!(target: "dashboard", "{text}");
            Severity::Warning
        };
        self.ui.say(severity, text, now);
        self.is_dirty = true;
    }

    /// Looks for a ticket in the log, on another thread.
    fn find_ticket(&mut self, id: u64, now: Time) {
        let news = self.news.clone();
        let data_dir = PathBuf::from(&self.office.snapshot().run.data_dir);
        let search = move || {
            let found = log_commands::history(&data_dir, TicketId(id));
            // A dashboard that has ended needs no word.
            let _ = news.send(Msg::Searched(id, found));
        };
        let thread = std::thread::Builder::new().name("search".to_owned()).spawn(search);
        if let Err(error) = thread {
            self.ui.say(Severity::Warning, format!("cannot search the log: {error}"), now);
        }
    }

    fn show_ticket(&mut self, id: u64, found: Result<History, LogError>, now: Time) {
        self.is_dirty = true;
        match found {
            Ok(lines) if lines.is_empty() => {
                let text = format!("there is no ticket {id} in the log");
                self.ui.say(Severity::Warning, text, now);
            }
            Ok(lines) => {
                let title = format!("Ticket {id}");
                self.ui.overlay = Some(Overlay::Detail(Detail { title, lines, scroll: 0 }));
            }
            Err(error) => self.ui.say(Severity::Warning, error.to_string(), now),
        }
    }

    fn repaint(&mut self) {
        self.screen.repaint();
        self.is_dirty = true;
    }

    /// Gives the terminal back to the shell and stops; the office's processes, which are in
    /// groups of their own, go on. Returns when the shell brings the dashboard back.
    fn suspend(&mut self) -> Result<()> {
        terminal::leave();
        nix::sys::signal::raise(nix::sys::signal::SIGSTOP)?;
        self.enter_again()
    }

    fn enter_again(&mut self) -> Result<()> {
        terminal::enter()?;
        self.screen.mouse(self.ui.has_mouse);
        self.repaint();
        Ok(())
    }

    fn draw(&mut self, now: Time) {
        let is_early = now < self.drawn_at + FRAME_INTERVAL;
        if !self.is_dirty || is_early || !self.writer.is_free() {
            return;
        }
        self.is_dirty = false;
        self.drawn_at = now;
        let (width, height) = crossterm::terminal::size().unwrap_or((80, 24));
        self.ui.area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(self.ui.area);
        tui_logger::move_events();
        let live = self.office.snapshot();
        let age = Duration::from_nanos(WallTime::now().0.saturating_sub(live.wall.0));
        self.ui.meter.tick(now, age);
        let scene = Scene { ui: &self.ui, app: self.ui.shown(&live), live: &live };
        timed!(DASHBOARD_FRAME, view::draw(scene, &mut buf));
        let frame = self.screen.frame(buf);
        let took = SystemClock.now().since(now);
        self.ui.meter.frame(took, frame.as_ref().map(Vec::len));
        if let Some(frame) = frame {
            observe!(DASHBOARD_SEND, frame.len() as u64);
            if self.writer.write(frame) == Written::Busy {
                self.repaint();
            }
        }
    }
}
