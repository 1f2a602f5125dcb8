//! The dashboard: draws the director's snapshots and turns keys into actions.
//!
//! Threads: this one keeps the model and builds frames; one reads keys and blocks in that; one
//! writes to the terminal and blocks in that; the director publishes snapshots. They meet in one
//! channel. A frame is built only if something may have changed and the writer is free, and
//! written only if something has.

use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use color_eyre::eyre::Result;
use crossterm::event::{Event, KeyEventKind};
use engine::clock::{Clock, SystemClock, Time, WallTime};
use engine::config::Effective;
use engine::supervisor::signals::Signal;
use engine::{observe, timed};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

mod ask;
mod bars;
mod change;
mod command;
mod conf;
pub(crate) mod doctor;
mod encode;
mod errands;
mod find;
pub(crate) mod guard;
mod heard;
mod key;
mod keymap;
mod keys;
mod layout;
mod logbook;
mod meter;
mod model;
mod mouse;
mod office;
mod options;
pub(crate) mod outside;
mod overlays;
mod panels;
mod past;
mod plain;
mod preferences;
mod reasons;
mod registry;
mod screen;
mod shot;
mod terminal;
#[cfg(test)]
mod testing;
mod theme;
mod time;
mod update;
mod view;
mod walk;
mod widgets;

use crate::app::action::Action;
use crate::app::cli::KeysFormat;
use crate::app::conf::{Overwrite, SaveError};
use crate::app::exit::Exit;
use crate::app::export::{self, ExportError, Exporter};
use crate::app::handle::{Access, Office};
use crate::app::logging;
use crate::app::state::{Phase, Severity, View};
use crate::app::ticket::Story;
use crate::app::view_args::ViewArgs;
use crate::app::{self, Wishes, crash, format};
use change::Eye;
use guard::Keeper;
use layout::Panel;
use model::{Detail, Effect, Overlay, UiState};
use options::Options;
use preferences::{Choices, Preferences};
use registry::{Keymap, Screen as Page};
use terminal::{RawOut, Screen, Writer, Written};
use view::Scene;

/// How often the loop looks whether the director is still there, although it would be told.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// How long the end waits for preferences to be on the disk.
const KEEP_TIME: Duration = Duration::from_millis(300);

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
    /// A thread has panicked; the terminal has been given back.
    Panicked,
    /// A line was typed where there is no screen.
    Line(String),
    /// An export was written, or not.
    Exported(Result<PathBuf, ExportError>),
    /// The scenario was written to a file, or not.
    Saved(PathBuf, Result<(), SaveError>),
    /// The log was searched for a ticket.
    Searched(u64, Result<Story, String>),
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
    /// How it is to look and behave.
    pub(crate) view: &'a ViewArgs,
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
        move |signal| {
            if signal == Signal::Reload {
                crash::arm();
            }
            // A dashboard that has ended needs no signal.
            drop(signals.send(Msg::Signal(signal)));
        }
    }
}

/// Runs an office with a dashboard to its end and returns the exit code.
///
/// # Errors
/// If the office can't be started, or the terminal can't be used.
pub(crate) fn run(effective: &Effective, wishes: Wishes, view: &ViewArgs) -> Result<Exit> {
    let mailbox = Mailbox::new();
    let app = app::start(effective, wishes, mailbox.on_signal())?;
    let access = if view.read_only { Access::Watch } else { Access::Full };
    let office = app.office().with(access);
    let stage = Stage {
        office: &office,
        exporter: app.exporter(),
        has_ended: &|| app.has_ended(),
        ends_with_run: true,
        view,
    };
    let shown = perform_with(&stage, mailbox, &|| app.begin());
    if !matches!(shown, Ok(Ok(()))) || crash::has_panicked() {
        // The office ends in good order even if the dashboard does not.
        let _ = app.office().submit(Action::Drain);
    }
    let finished = app.finish();
    if crash::has_panicked() {
        return Ok(Exit::Panic);
    }
    if let Ok(shown) = shown {
        shown?;
    }
    let finished = finished?;
    let (is_utf8, _) = theme::charset(view.charset.unwrap_or_default(), options::env);
    terminal::say(&theme::shown(&finished.summary.to_text(), is_utf8));
    if let Some(text) = finished.export_text() {
        terminal::say(&format!("{text}\n"));
    }
    Ok(finished.exit())
}

/// Shows something on the terminal until it ends, and gives the terminal back whatever happens. The
/// outer result tells of a panic of the dashboard, [`crash::has_panicked`] of one of any thread.
pub(crate) fn perform(stage: &Stage<'_>, mailbox: Mailbox) -> std::thread::Result<Result<()>> {
    perform_with(stage, mailbox, &|| {})
}

/// Does the same, and says when the first picture is there.
fn perform_with(
    stage: &Stage<'_>,
    mailbox: Mailbox,
    on_picture: &dyn Fn(),
) -> std::thread::Result<Result<()>> {
    let news = mailbox.sender.clone();
    let data_dir = PathBuf::from(&stage.office.snapshot().run.data_dir);
    // A dashboard that has ended needs no word.
    crash::watch(&data_dir, terminal::leave, move || drop(news.send(Msg::Panicked)));
    if stage.view.plain || plain::is_needed(options::env) {
        on_picture();
        return catch_unwind(AssertUnwindSafe(|| plain::show(stage, mailbox)));
    }
    let guard = Keeper::default();
    let shown = catch_unwind(AssertUnwindSafe(|| show(stage, mailbox, &guard, on_picture)));
    terminal::leave();
    guard.dismiss();
    shown
}

/// Shows an office until it has ended or the terminal is gone.
fn show(stage: &Stage<'_>, mailbox: Mailbox, guard: &Keeper, on_picture: &dyn Fn()) -> Result<()> {
    let Mailbox { sender, receiver } = mailbox;
    terminal::enter()?;
    let eye = Arc::new(Eye::default());
    watch(stage.office, &eye, sender.clone());
    let free = sender.clone();
    let writer = Writer::start(RawOut, move |is_alive| {
        let _ = free.send(if is_alive { Msg::Free } else { Msg::Gone });
    })?;
    let news = sender.clone();
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || read_keys(&sender))?;
    let place = Preferences::path(options::env);
    let mut preferences = preferred(place.as_deref());
    let (options, mut ui) = prepare(&preferences, stage.view);
    ui.access = stage.office.access();
    ui.hear(&stage.office.snapshot(), SystemClock.now());
    let before = chosen(&ui);
    let mut screen = Screen::new();
    screen.mouse(ui.has_mouse);
    let mut dashboard = Dashboard {
        stage,
        office: stage.office,
        news,
        ui,
        screen,
        writer,
        eye,
        guard,
        frame_interval: options.frame_interval,
        drawn_at: Time::ZERO,
        is_dirty: true,
        is_leaving: false,
    };
    dashboard.run(&receiver, on_picture)?;
    if preferences.keep(&before, &chosen(&dashboard.ui))
        && let Some(place) = place
    {
        keep(preferences, place);
    }
    Ok(())
}

/// Writes preferences; an end does not wait long for a busy disk, where the old ones stay then.
fn keep(preferences: Preferences, place: PathBuf) {
    let (done, kept) = channel();
    let name = place.display().to_string();
    let save = move || drop(done.send(preferences.save(&place)));
    let begun = std::thread::Builder::new().name("preferences".to_owned()).spawn(save);
    let why = match begun.map(|_| kept.recv_timeout(KEEP_TIME)) {
        Ok(Ok(Ok(()))) => return,
        Ok(Ok(Err(error))) | Err(error) => error.to_string(),
        Ok(Err(_)) => "the disk is too busy".to_owned(),
    };
    log::warn!(target: "dashboard", "preferences are not kept in {name}: {why}");
}

/// Has the loop told of each snapshot that a person would see to be another one.
fn watch(office: &Office, eye: &Arc<Eye>, news: Sender<Msg>) {
    let (slot, eye) = (office.clone(), Arc::clone(eye));
    office.on_snapshot(move || {
        if eye.sees(&slot.snapshot()) || slot.is_closed() {
            // A dashboard that has ended needs no word.
            drop(news.send(Msg::Snapshot));
        }
    });
}

/// Reads preferences; what is wrong with them is told and does no harm.
fn preferred(place: Option<&Path>) -> Preferences {
    let Some(place) = place else { return Preferences::default() };
    Preferences::load(place).unwrap_or_else(|error| {
        log::warn!(target: "dashboard", "preferences are not read from {}: {error}", place.display());
        Preferences::default()
    })
}

/// Returns what the command line and preferences make of a dashboard.
fn prepare(preferences: &Preferences, view: &ViewArgs) -> (Options, UiState) {
    let (choices, mut problems) = preferences.choices();
    let (keymap, key_problems) = Keymap::read(preferences.keys());
    problems.extend(key_problems);
    for problem in problems {
        log::warn!(target: "dashboard", "preferences: {problem}");
    }
    let options = Options::new(view, &choices, options::env);
    // Panels ask the theme; what else writes colours must not ask the environment again.
    crossterm::style::force_color_output(options.theme.depth() != theme::Depth::None);
    let mut ui = UiState::new(&options, keymap);
    for panel in Page::ALL.iter().flat_map(|page| page.panels()) {
        if let Some((column, is_down)) = choices.sorts.get(&panel_name(*panel)) {
            ui.arrangement_mut(*panel).sort = Some((column - 1, *is_down));
        }
    }
    (options, ui)
}

/// Returns what a person has chosen by now.
fn chosen(ui: &UiState) -> Choices {
    let sorts = ui.arrangements.iter().filter_map(|(panel, arrangement)| {
        let (column, is_down) = arrangement.sort?;
        Some((panel_name(*panel), (column + 1, is_down)))
    });
    Choices {
        theme: Some(ui.theme.choice()),
        window: Some(model::WINDOWS[ui.window]),
        has_mouse: Some(ui.has_mouse),
        fps: None,
        sorts: sorts.collect(),
    }
}

fn panel_name(panel: Panel) -> String {
    format!("{panel:?}").to_lowercase()
}

fn read_keys(sender: &Sender<Msg>) {
    loop {
        let msg = crossterm::event::read().map_or(Msg::Gone, Msg::Terminal);
        crash::failpoint("keys");
        let is_gone = matches!(msg, Msg::Gone);
        if sender.send(msg).is_err() || is_gone {
            return;
        }
    }
}

/// A dashboard on a terminal.
struct Dashboard<'a> {
    stage: &'a Stage<'a>,
    office: &'a Office,
    news: Sender<Msg>,
    ui: UiState,
    screen: Screen,
    writer: Writer,
    eye: Arc<Eye>,
    guard: &'a Keeper,
    /// The least time between two frames.
    frame_interval: Duration,
    drawn_at: Time,
    is_dirty: bool,
    /// Somebody wants it to end.
    is_leaving: bool,
}

impl Dashboard<'_> {
    fn run(&mut self, receiver: &Receiver<Msg>, on_picture: &dyn Fn()) -> Result<()> {
        let mut turns = 0_u8;
        loop {
            let now = SystemClock.now();
            self.is_dirty |= self.ui.tick(now);
            self.draw(now);
            // The first picture waits for nothing that it does not need, and the rest not long for
            // a terminal that does not take it.
            if turns < 2 && (self.writer.await_free() || turns == 1) {
                self.guard.look_after();
                on_picture();
                turns = 1;
            }
            turns = turns.saturating_add(1);
            let has_ended = matches!(self.office.snapshot().phase, Phase::Stopped(_));
            if self.stage.ends_with_run
                && (has_ended || self.office.is_closed() || (self.stage.has_ended)())
            {
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
        let frame = if self.is_dirty && self.writer.await_free() {
            self.drawn_at + self.frame_interval
        } else {
            Time::NEVER
        };
        frame.min(self.ui.deadline()).since(now).min(LOOK_INTERVAL)
    }

    /// Acts on a message; returns whether the dashboard goes on.
    fn take(&mut self, msg: Msg) -> Result<bool> {
        let now = SystemClock.now();
        match msg {
            Msg::Saved(path, saved) => {
                self.is_dirty = true;
                self.ui.saved(&path, saved, now);
            }
            Msg::Snapshot => {
                self.is_dirty = true;
                self.ui.past.push(&self.office.snapshot());
                self.ui.hear(&self.office.snapshot(), now);
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
            Msg::Terminal(event) => self.take_event(event, now)?,
            Msg::Signal(signal) => return self.take_signal(signal),
            Msg::Line(_) => {}
            Msg::Panicked => return Ok(false),
        }
        Ok(!self.is_leaving)
    }

    /// Acts on a key, the mouse or another size; all three are answered at once.
    fn take_event(&mut self, event: Event, now: Time) -> Result<()> {
        let state = self.office.snapshot();
        let effects = match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.ui.key(key, &state, now),
            Event::Mouse(mouse) => self.ui.mouse(mouse, &state, now),
            // The terminal shows a torn picture until it gets a new one.
            Event::Resize(..) => Vec::new(),
            _ => return Ok(()),
        };
        for effect in effects {
            self.carry_out(effect, now)?;
        }
        (self.is_dirty, self.drawn_at) = (true, Time::ZERO);
        self.eye.set_frozen(self.ui.frozen.is_some());
        Ok(())
    }

    /// Acts on a signal; returns whether the dashboard goes on.
    fn take_signal(&mut self, signal: Signal) -> Result<bool> {
        match signal {
            Signal::Child => self.guard.look_after(),
            Signal::Suspend => self.suspend()?,
            Signal::Continue => self.enter_again()?,
            Signal::Reload => crash::failpoint("ui"),
            Signal::Terminate { .. } if !self.stage.ends_with_run => return Ok(false),
            Signal::Terminate { .. } => self.is_dirty = true,
        }
        Ok(true)
    }

    fn carry_out(&mut self, effect: Effect, now: Time) -> Result<()> {
        match effect {
            Effect::Submit(action) => {
                // What comes of it is an event, which is told when it is there.
                if let Some(text) = office::nothing_to_do(&action, &self.office.snapshot()) {
                    self.ui.say(Severity::Info, text, now);
                }
                if let Err(refused) = self.office.submit(action) {
                    self.ui.say(Severity::Warning, refused.to_string(), now);
                }
            }
            Effect::Export(dir) => self.export(dir, now),
            Effect::FindTicket(id) => self.find_ticket(id, now),
            Effect::Save { path, overwrite } => self.save_conf(path, overwrite, now),
            Effect::LogLevel(level) => {
                logging::set_level(level);
                // What the office shows on its own screen is not for who is attached to change.
                let asked = match (self.office.access(), level.to_level()) {
                    (Access::Control, Some(level)) => self.office.submit(Action::LogLevel(level)),
                    _ => Ok(()),
                };
                match asked {
                    Ok(()) => {
                        self.ui.say(Severity::Info, format!("lines of {level} and above"), now)
                    }
                    Err(refused) => self.ui.say(Severity::Warning, refused.to_string(), now),
                }
            }
            Effect::Copy(text) => self.screen.copy(&text),
            Effect::Mouse(is_ours) => self.screen.mouse(is_ours),
            Effect::SaveScreen => self.save_screen(now),
            Effect::Repaint => self.repaint(),
            Effect::Suspend => self.suspend()?,
            Effect::Leave => self.is_leaving = true,
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

    /// Writes the scenario in effect to a file.
    fn save_conf(&mut self, path: PathBuf, overwrite: Overwrite, now: Time) {
        if let Err(error) = errands::save_conf(self.office, path, overwrite, self.news.clone()) {
            self.ui.say(Severity::Warning, format!("cannot write the scenario: {error}"), now);
        }
    }

    /// Looks for a ticket in the log; only one is looked for at a time.
    fn find_ticket(&mut self, id: u64, now: Time) {
        match errands::find_ticket(self.office, id, self.news.clone()) {
            Ok(()) => self.ui.is_searching = true,
            Err(error) => {
                self.ui.say(Severity::Warning, format!("cannot search the log: {error}"), now);
            }
        }
    }

    fn show_ticket(&mut self, id: u64, story: Result<Story, String>, now: Time) {
        (self.is_dirty, self.ui.is_searching) = (true, false);
        match story {
            Ok(lines) => {
                let detail = Detail::of(format!("Ticket {id}"), lines, self.ui.area.width);
                self.ui.overlay = Some(Overlay::Detail(detail));
            }
            Err(reason) => self.ui.say(Severity::Warning, reason, now),
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
        let office = match self.office.snapshot().view {
            View::Replay(_) => "",
            _ => "; the office goes on",
        };
        terminal::say(&format!("suspended{office}; fg brings the dashboard back\n"));
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
        let is_early = now < self.drawn_at + self.frame_interval;
        if !self.is_dirty || is_early || !self.writer.is_free() {
            return;
        }
        self.is_dirty = false;
        self.drawn_at = now;
        let (width, height) = terminal::size().unwrap_or((80, 24));
        self.ui.area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(self.ui.area);
        self.ui.logbook.read();
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
