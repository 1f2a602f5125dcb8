//! The same office without a terminal: progress on stderr, the summary on stdout.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::channel;
use std::time::Duration;

use color_eyre::eyre::Result;
use engine::clock::WallTime;
use engine::config::Effective;
use engine::supervisor::signals::Signal;

use super::action::Action;
use super::exit::Exit;
use super::format;
use super::state::{AppState, Phase, RecoveryRow};
use super::{App, Wishes, crash, output, recovery, start};

/// How a headless run speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speech {
    /// The summary as JSON.
    pub(crate) is_json: bool,
    /// No progress.
    pub(crate) is_quiet: bool,
}

/// Runs an office to its end and returns the exit code.
///
/// # Errors
/// If it can't be started or its director failed.
pub(crate) fn run(effective: &Effective, wishes: Wishes, speech: Speech) -> Result<Exit> {
    let app = start(effective, wishes, |signal| {
        if signal == Signal::Reload {
            crash::arm();
        }
    })?;
    app.begin();
    let office = app.office().clone();
    let drain = move || {
        // A director that takes no more ends anyway.
        let _ = office.submit(Action::Drain);
    };
    crash::watch(app.data_dir(), || {}, drain);
    if !speech.is_quiet {
        if let Some(url) = app.metrics_url() {
            // Nobody may be there to read it; `ctl status` says it too.
            let _ = writeln!(std::io::stderr(), "metrics: {url}");
        }
        show_progress(&app);
    }
    if app.will_export() && !speech.is_quiet {
        let _ = writeln!(std::io::stderr(), "writing the export");
    }
    let finished = app.finish()?;
    let exit = if crash::has_panicked() { Exit::Panic } else { finished.exit() };
    let summary = &finished.summary;
    let text = if speech.is_json {
        let mut json = summary.to_json();
        json["exit_code"] = exit.code().into();
        format!("{}\n", serde_json::to_string_pretty(&json)?)
    } else {
        summary.to_text()
    };
    output::say(&text);
    if let Some(text) = finished.export_text()
        && (!speech.is_quiet || matches!(finished.exported, Some(Err(_))))
    {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
    Ok(exit)
}

/// Shows where the run stands until it ends: one line that changes on a terminal, else one line
/// now and then.
fn show_progress(app: &App) {
    let (news, snapshots) = channel();
    app.office().on_snapshot(move || {
        // Nobody listens any more once the run has ended.
        let _ = news.send(());
    });
    let is_terminal = std::io::stderr().is_terminal();
    let mut shown = Shown::default();
    // Nobody may be there to read what is written.
    let clear = if is_terminal { "\r\x1b[2K" } else { "" };
    loop {
        let state = app.office().snapshot();
        if let Some(found) = shown.new_recovery(&state) {
            let _ = writeln!(std::io::stderr(), "{clear}{found}");
        }
        if shown.is_due(&state, is_terminal) {
            let end = if is_terminal { "" } else { "\n" };
            let _ = write!(std::io::stderr(), "{clear}{}{end}", line(&state));
        }
        let has_ended = matches!(state.phase, Phase::Stopped(_)) || app.office().is_closed();
        if has_ended || snapshots.recv().is_err() {
            break;
        }
        while snapshots.try_recv().is_ok() {}
    }
    if is_terminal {
        let _ = writeln!(std::io::stderr());
    }
}

/// What was last shown.
#[derive(Default)]
struct Shown {
    phase: Option<&'static str>,
    elapsed: Duration,
    wall: WallTime,
    recovery: Option<RecoveryRow>,
}

impl Shown {
    /// Returns what a start of the issuer found in an earlier log, once for each start.
    fn new_recovery(&mut self, state: &AppState) -> Option<String> {
        let found = state.store.recovery.as_ref()?;
        if self.recovery.as_ref() == Some(found) {
            return None;
        }
        self.recovery = Some(found.clone());
        (!found.is_new()).then(|| format!("log: {}", found.facts().join(", ")))
    }

    fn is_due(&mut self, state: &AppState, is_terminal: bool) -> bool {
        let phase = state.phase.name();
        let is_new = self.phase != Some(phase);
        let interval = Duration::from_secs(5);
        // While the log is being read the office's time stands still.
        let is_reading = matches!(state.phase, Phase::Recovering(_));
        let waited = Duration::from_nanos(state.wall.0.saturating_sub(self.wall.0));
        let is_time = state.elapsed.saturating_sub(self.elapsed) >= interval
            || is_reading && waited >= interval;
        if is_new || is_time {
            (self.phase, self.elapsed, self.wall) = (Some(phase), state.elapsed, state.wall);
        }
        is_terminal || is_new || is_time
    }
}

const BAR_CELLS: u32 = 24;

fn line(state: &AppState) -> String {
    let phase = state.phase.name();
    let detail = match &state.phase {
        Phase::Running if state.store.is_blocked => {
            let trouble = state.store.trouble.as_deref().unwrap_or("it can not at present");
            format!("DISK: intake is paused until the log can grow: {trouble}")
        }
        Phase::Recovering(reading) => recovery::progress(*reading),
        Phase::Draining { open } => format!("{} tickets open", format::count(*open)),
        _ => format!(
            "{} users, {}/s served, {} waiting, {} rejected",
            format::known(state.users.actual, |users| format::count(users.into())),
            format::known(state.rates.served, format::rate),
            format::count(state.totals.waiting),
            format::known(state.totals.rejected, format::count),
        ),
    };
    let elapsed = format::stopwatch(state.elapsed);
    match state.run.duration {
        Some(duration) if matches!(state.phase, Phase::Running | Phase::Paused) => {
            let total = format::stopwatch(duration);
            format!("{phase} {} {elapsed}/{total}  {detail}", bar(state.elapsed, duration))
        }
        _ => format!("{phase} {elapsed}  {detail}"),
    }
}

fn bar(elapsed: Duration, duration: Duration) -> String {
    let done = elapsed.as_secs_f64() / duration.as_secs_f64().max(f64::MIN_POSITIVE);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 24 cells")]
    let cells = (done.clamp(0.0, 1.0) * f64::from(BAR_CELLS)) as usize;
    let empty = BAR_CELLS as usize - cells;
    format!("[{}{}]", "#".repeat(cells), ".".repeat(empty))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_from_the_left() {
        let second = Duration::from_secs(1);
        assert_eq!(bar(Duration::ZERO, second), format!("[{}]", ".".repeat(24)));
        assert_eq!(bar(second / 2, second), format!("[{}{}]", "#".repeat(12), ".".repeat(12)));
        assert_eq!(bar(second * 3, second), format!("[{}]", "#".repeat(24)));
    }
}
