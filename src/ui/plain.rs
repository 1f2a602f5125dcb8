//! A dashboard of lines: for screen readers, dumb terminals and pipes.
//!
//! Nothing is drawn and no cursor moves. Each change is one line, and once in a while the figures
//! are. Commands are typed as lines, by the same names as in the palette; what needs a yes asks for
//! one. The terminal stays as the shell has it.

use std::io::{BufRead, stdin};
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use color_eyre::eyre::Result;
use engine::clock::{Clock, SystemClock, Time};
use engine::supervisor::signals::Signal;

use super::ask::Ask;
use super::errands::{find_ticket, save_conf};
use super::heard::Heard;
use super::key::Key;
use super::model::{Detail, Effect, Overlay, Prompt, Sight, UiState};
use super::office::nothing_to_do;
use super::options::env;
use super::preferences::Preferences;
use super::reasons;
use super::registry::{Command, REGISTRY, Risk, by_id};
use super::{LOOK_INTERVAL, Mailbox, Msg, Stage, preferred, prepare};
use crate::app::action::Action;
use crate::app::export;
use crate::app::state::{AppState, Level, Notice, Phase, Severity, View};
use crate::app::{format, output};

/// How often the figures are said.
const FIGURES_INTERVAL: Duration = Duration::from_secs(10);

/// Returns whether the terminal can show nothing but lines.
pub(super) fn is_needed(get: impl Fn(&str) -> Option<String>) -> bool {
    get("TERM").as_deref() == Some("dumb")
}

/// Tells of an office in lines until it has ended or nobody reads any more.
pub(super) fn show(stage: &Stage<'_>, mailbox: Mailbox) -> Result<()> {
    let Mailbox { sender, receiver } = mailbox;
    let news = sender.clone();
    // A dashboard that has ended needs no word.
    stage.office.on_snapshot(move || drop(news.send(Msg::Snapshot)));
    let lines = sender.clone();
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            if lines.send(Msg::Line(line)).is_err() {
                return;
            }
        }
        // Whoever has no more to say may still listen.
    })?;
    let preferences = preferred(Preferences::path(env).as_deref());
    let (_, mut ui) = prepare(&preferences, stage.view);
    ui.access = stage.office.access();
    let mut speaker = Speaker::default();
    say(&["lines are commands: help lists them"]);
    loop {
        let now = SystemClock.now();
        let live = stage.office.snapshot();
        if !say(&speaker.news(&live, now)) {
            if stage.ends_with_run {
                log::warn!(target: "dashboard", "nobody reads any more; the run ends");
                let _ = stage.office.submit(Action::Drain);
            }
            return Ok(());
        }
        let was_open = ui.overlay.is_some();
        ui.hear_answers(&live, now);
        if !ui.toasts.is_empty() || ui.overlay.is_some() != was_open {
            say(&heard(&mut ui));
        }
        let has_ended = matches!(live.phase, Phase::Stopped(_))
            || stage.office.is_closed()
            || (stage.has_ended)();
        if stage.ends_with_run && has_ended {
            return Ok(());
        }
        match receiver.recv_timeout(LOOK_INTERVAL) {
            Ok(Msg::Line(line)) => {
                let (effects, answer) = command(&mut ui, &line, &live, now);
                say(&answer);
                for effect in effects {
                    if matches!(effect, Effect::Leave) {
                        return Ok(());
                    }
                    say(&carry_out(stage, effect, &sender));
                }
            }
            Ok(Msg::Exported(exported)) => drop(say(&[export::said(&exported)])),
            Ok(Msg::Searched(id, story)) => {
                let title = format!("Ticket {id}");
                say(&match story {
                    Ok(lines) => detail(&Detail { title, lines, scroll: 0 }),
                    Err(reason) => vec![reason],
                });
            }
            Ok(Msg::Saved(path, saved)) => {
                ui.saved(&path, saved, now);
                say(&heard(&mut ui));
            }
            Ok(Msg::Signal(Signal::Suspend)) => {
                nix::sys::signal::raise(nix::sys::signal::SIGSTOP)?;
            }
            Ok(Msg::Signal(Signal::Terminate { .. })) if !stage.ends_with_run => return Ok(()),
            Ok(Msg::Signal(Signal::Reload)) => crate::app::crash::failpoint("ui"),
            Ok(Msg::Panicked) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Writes lines; returns whether there is any point in writing more.
fn say(lines: &[impl AsRef<str>]) -> bool {
    lines.iter().all(|line| output::say(&format!("{}\n", line.as_ref())))
}

fn carry_out(
    stage: &Stage<'_>,
    effect: Effect,
    news: &std::sync::mpsc::Sender<Msg>,
) -> Vec<String> {
    match effect {
        Effect::Submit(action) => {
            // What comes of it is news, which are said when they are there.
            let idle = nothing_to_do(&action, &stage.office.snapshot());
            let refused = stage.office.submit(action).err().map(|refused| refused.to_string());
            refused.or(idle).into_iter().collect()
        }
        Effect::Export(dir) => {
            let news = news.clone();
            let done = move |exported| drop(news.send(Msg::Exported(exported)));
            let dir = dir.unwrap_or_else(|| stage.exporter.usual_place());
            let begun = stage.exporter.write_beside(dir, stage.office.snapshot(), done);
            begun.err().map(|busy| busy.to_string()).into_iter().collect()
        }
        Effect::FindTicket(id) => match find_ticket(stage.office, id, news.clone()) {
            Ok(()) => Vec::new(),
            Err(error) => vec![format!("cannot search the log: {error}")],
        },
        Effect::Save { path, overwrite } => {
            let begun = save_conf(stage.office, path, overwrite, news.clone());
            begun.err().map(|error| format!("cannot write it: {error}")).into_iter().collect()
        }
        // The rest is about a screen, and no command that is taken here asks for it.
        _ => Vec::new(),
    }
}

/// Does what a line asks for; returns what there is to say.
fn command(
    ui: &mut UiState,
    line: &str,
    live: &Arc<AppState>,
    now: Time,
) -> (Vec<Effect>, Vec<String>) {
    let line = line.trim();
    let is_yes = ["y", "yes"].contains(&line);
    match ui.overlay.take() {
        Some(Overlay::Confirm(question)) if is_yes => return (question.effects, Vec::new()),
        Some(Overlay::Confirm(_)) => return (Vec::new(), vec!["not done".to_owned()]),
        Some(Overlay::Plan(plan)) => {
            let answer = if is_yes { 'y' } else { 'n' };
            return (ui.plan_key(plan, Key::Char(answer)), Vec::new());
        }
        _ => {}
    }
    let (name, argument) = line.split_once(' ').map_or((line, None), |(name, argument)| {
        (name, Some(argument.trim()).filter(|argument| !argument.is_empty()))
    });
    if name.is_empty() {
        return (Vec::new(), Vec::new());
    }
    // One key does both, but nobody says pause to go on.
    let name = match (name, &live.phase) {
        ("resume", Phase::Paused) => "pause",
        ("resume", _) => return (Vec::new(), vec!["the office is not paused".to_owned()]),
        (name, _) => name,
    };
    let Some(entry) = by_id(name).filter(|entry| is_for_lines(entry.command, entry.risk)) else {
        let text = match by_id(name) {
            Some(_) => format!("{name} is about a screen, which --plain has not; see: help"),
            None => format!("there is no command {name}; see: help"),
        };
        return (Vec::new(), vec![text]);
    };
    if entry.command == Command::Help {
        return (Vec::new(), help(&live.view));
    }
    let sight = Sight { live, shown: live, now };
    let mut effects = ui.act(entry.command, argument, sight);
    let mut lines = heard(ui);
    match ui.overlay.take_if(|open| !is_question(open)) {
        None => {}
        // Nothing is an answer, too.
        Some(Overlay::Prompt(Prompt { ask: ask @ (Ask::ExportTo | Ask::Step), .. })) => {
            effects = ui.answer("", &ask, sight);
        }
        Some(_) => lines.push(format!("{name} needs {}", entry.argument)),
    }
    (effects, lines)
}

/// Returns whether something waits for a yes or no.
fn is_question(overlay: &Overlay) -> bool {
    matches!(overlay, Overlay::Confirm(_) | Overlay::Plan(_))
}

/// Returns what was said, and what is asked, which stays open.
fn heard(ui: &mut UiState) -> Vec<String> {
    let mut lines: Vec<String> = ui.toasts.drain(..).map(|toast| toast.text).collect();
    match &ui.overlay {
        Some(Overlay::Confirm(question)) => {
            lines.push(format!("{} {} Answer yes or no.", question.title, question.text));
        }
        Some(Overlay::Plan(plan)) => {
            lines.push(plan.title.clone());
            lines.extend(plan.lines.iter().map(|(key, what)| format!("  {key} {what}")));
            match plan.yes {
                Some(_) => lines.push("Answer yes or no.".to_owned()),
                None => ui.overlay = None,
            }
        }
        Some(Overlay::Detail(shown)) => {
            lines.extend(detail(shown));
            ui.overlay = None;
        }
        _ => {}
    }
    lines
}

/// Returns whether a command makes sense without a screen.
fn is_for_lines(command: Command, risk: Risk) -> bool {
    let is_told = [
        Command::Help,
        Command::Export,
        Command::ExportAgain,
        Command::FindTicket,
        Command::SaveConf,
    ];
    // What acts on a selected row needs one.
    let needs_rows = [
        Command::Signals,
        Command::Chaos,
        Command::Kill,
        Command::Restart,
        Command::Halt,
        Command::Continue,
        Command::Interrupt,
    ];
    (risk != Risk::Look || is_told.contains(&command)) && !needs_rows.contains(&command)
}

fn help(view: &View) -> Vec<String> {
    let entries = REGISTRY.iter().filter(|entry| is_for_lines(entry.command, entry.risk));
    let line = |name: &str, doc: &str| format!("{name}: {doc}");
    entries
        .map(|entry| {
            line(format!("{} {}", entry.id, entry.argument).trim(), reasons::doc(entry, view))
        })
        .collect()
}

fn detail(detail: &Detail) -> Vec<String> {
    let lines = detail.lines.iter().map(|(name, text)| format!("  {name} {text}"));
    std::iter::once(detail.title.clone()).chain(lines).collect()
}

/// What was last said.
#[derive(Debug, Default)]
struct Speaker {
    phase: Option<&'static str>,
    workers: Level,
    users: Level,
    notices: Vec<Notice>,
    heard: Heard,
    figures_at: Time,
}

impl Speaker {
    /// Returns a line for each change, and the figures if it is time for them.
    fn news(&mut self, state: &AppState, now: Time) -> Vec<String> {
        let mut lines = Vec::new();
        let phase = state.phase.name();
        let is_new = self.phase.replace(phase) != Some(phase);
        if is_new {
            lines.push(phase.to_owned());
        }
        let count =
            |number: Option<u32>| format::known(number, |number| format::count(number.into()));
        for (name, before, now) in
            [("workers", &mut self.workers, state.workers), ("users", &mut self.users, state.users)]
        {
            // On the way to a number nothing is said but where it leads and that it is reached.
            let is_worth = before.target != now.target || now.actual == now.target;
            if *before != now && is_worth {
                lines.push(format!("{name} {} of {}", count(now.actual), count(now.target)));
                *before = now;
            }
        }
        // What went wrong is a notice, too.
        let news =
            self.heard.news(state).into_iter().filter(|news| news.severity == Severity::Info);
        lines.extend(news.map(|news| format!("{} by {}", news.text, news.who)));
        for notice in state.notices.iter().filter(|notice| !self.notices.contains(notice)) {
            let severity = match notice.severity {
                Severity::Info => "note",
                Severity::Warning => "warning",
                Severity::Error => "error",
            };
            lines.push(format!("{severity}: {}", notice.text));
        }
        self.notices.clone_from(&state.notices);
        let is_open =
            matches!(state.phase, Phase::Running | Phase::Paused | Phase::Draining { .. });
        if is_open && (is_new || now >= self.figures_at) {
            lines.push(figures(state));
        }
        if is_open && (is_new || now >= self.figures_at) || !self.figures_at.is_set() {
            self.figures_at = now + FIGURES_INTERVAL;
        }
        let clock = state.wall;
        lines.into_iter().map(|line| format!("{clock} {line}")).collect()
    }
}

fn figures(state: &AppState) -> String {
    let wait = state.latencies.iter().find(|row| row.name == "wait");
    let wait = wait.and_then(|row| row.recent[1].spread.as_ref());
    let wait = wait.map_or(format::ABSENT.to_owned(), |spread| format::duration(spread.p99));
    format!(
        "{} {}, {} served a second, {} waiting, {} in service, {} rejected, waiting time p99 {wait}",
        state.phase.name(),
        format::stopwatch(state.elapsed),
        format::known(state.rates.served, format::rate),
        format::count(state.totals.waiting),
        format::count(state.totals.in_service),
        format::known(state.totals.rejected, format::count),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::testing;

    fn typed(ui: &mut UiState, line: &str) -> (Vec<Effect>, String) {
        let live = Arc::new(testing::measured());
        let (effects, lines) = command(ui, line, &live, Time::ZERO);
        (effects, lines.join("\n"))
    }

    #[test]
    fn lines_are_the_palettes_commands() {
        let mut ui = testing::ui();
        let (effects, _) = typed(&mut ui, "users 200");
        assert_eq!(effects, [Effect::Submit(Action::SetUsers(200))]);
        let (effects, said) = typed(&mut ui, "users");
        assert!(effects.is_empty() && said.contains("users needs N"), "{said}");
        let (effects, said) = typed(&mut ui, "users many");
        assert!(effects.is_empty() && !said.is_empty());
        assert_eq!(typed(&mut ui, " pause ").0, [Effect::Submit(Action::Pause)]);
        assert_eq!(typed(&mut ui, "export").0, [Effect::Export(None)]);
        assert_eq!(typed(&mut ui, "export /x").0, [Effect::Export(Some("/x".into()))]);
        assert!(typed(&mut ui, "zoom").1.contains("is about a screen"));
        assert!(typed(&mut ui, "dance").1.contains("there is no command dance"));
        assert_eq!(typed(&mut ui, ""), (vec![], String::new()));
    }

    #[test]
    fn who_pauses_can_say_resume() {
        let mut ui = testing::ui();
        let (effects, said) = typed(&mut ui, "resume");
        assert_eq!((effects.len(), said.as_str()), (0, "the office is not paused"));
        let paused = Arc::new(AppState { phase: Phase::Paused, ..testing::app() });
        let (effects, _) = command(&mut ui, "resume", &paused, Time(1));
        assert_eq!(effects, [Effect::Submit(Action::Resume)]);
    }

    #[test]
    fn what_needs_a_yes_asks_for_one() {
        let mut ui = testing::ui();
        let (effects, said) = typed(&mut ui, "quit-now");
        assert!(effects.is_empty() && said.ends_with("Answer yes or no."), "{said}");
        assert_eq!(typed(&mut ui, "no"), (vec![], "not done".to_owned()));
        typed(&mut ui, "quit-now");
        assert_eq!(typed(&mut ui, "yes").0, [Effect::Submit(Action::StopNow)]);
    }

    #[test]
    fn help_names_what_can_be_typed() {
        let said = typed(&mut testing::ui(), "help").1;
        for name in ["pause:", "users N", "quit:", "export", "ticket ID:"] {
            assert!(said.contains(name), "{name} in\n{said}");
        }
        assert!(!said.contains("zoom"));
    }

    #[test]
    fn each_change_is_said_once_and_the_figures_in_between() {
        let mut speaker = Speaker::default();
        let mut state = testing::measured();
        let at = |seconds| Time::ZERO + Duration::from_secs(seconds);
        let first = speaker.news(&state, at(1)).join("\n");
        assert!(first.contains("running") && first.contains("users "), "{first}");
        assert!(first.contains("served a second"), "{first}");
        assert_eq!(speaker.news(&state, at(2)), Vec::<String>::new());
        assert!(speaker.news(&state, at(12)).join("\n").contains("served a second"));
        state.users.target = state.users.target.map(|users| users + 7);
        assert_eq!(speaker.news(&state, at(13)).len(), 1);
        state.phase = Phase::Paused;
        assert!(speaker.news(&state, at(14))[0].ends_with("paused"));
    }

    #[test]
    fn a_dumb_terminal_gets_lines() {
        assert!(is_needed(|_| Some("dumb".to_owned())));
        assert!(!is_needed(|_| Some("xterm".to_owned())) && !is_needed(|_| None));
    }
}
