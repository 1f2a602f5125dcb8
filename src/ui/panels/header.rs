//! The two lines at the top and the key bar at the bottom.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::draw_pieces;
use crate::app::state::{AppState, Ending, Level, Phase};
use crate::app::{format, recovery};
use crate::ui::keymap::{self, REGISTRY};
use crate::ui::theme::{Theme, Tone};
use crate::ui::view::Scene;

/// Draws state, run, population, seats, and beneath it what is lost and promised.
pub(crate) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    let clock = scene.app.wall.to_string();
    let width = u16::try_from(clock.len()).unwrap_or(0);
    let first = Rect { height: 1, ..area };
    let left = Rect { width: first.width.saturating_sub(width + 2), ..first };
    if area.width < 80 {
        draw_pieces(&short_pieces(scene), theme, first, buf);
    } else {
        draw_pieces(&state_pieces(scene), theme, left, buf);
        let x = area.right() - width - 1;
        buf.set_string(x, area.y, clock, theme.style(Tone::Quiet));
    }
    let second = Rect { y: area.y + 1, height: 1, ..area };
    draw_pieces(&fact_pieces(scene), theme, second, buf);
}

/// Returns the state's symbol and word, and how it should look.
pub(crate) fn phase_text(app: &AppState, theme: Theme) -> (String, Tone) {
    let symbol = |utf8, ascii| theme.pick(utf8, ascii);
    match &app.phase {
        Phase::Starting => (format!("{} STARTING", symbol("◌", "o")), Tone::Warning),
        Phase::Recovering(None) => (format!("{} RECOVERING", symbol("◌", "o")), Tone::Warning),
        Phase::Recovering(Some(reading)) => {
            let done = format::percent_done(reading.bytes, reading.bytes_total);
            (format!("{} RECOVERING {done}", symbol("◌", "o")), Tone::Warning)
        }
        Phase::Running => (format!("{} RUN", symbol("▶", ">")), Tone::Good),
        Phase::Paused => (format!("{} PAUSED", symbol("‖", "=")), Tone::Warning),
        Phase::Draining { open } => {
            (format!("{} DRAIN {} open", symbol("▼", "v"), format::count(*open)), Tone::Warning)
        }
        Phase::Stopped(ending) => {
            (format!("{} {}", symbol("■", "#"), ending_word(ending)), Tone::Bad)
        }
    }
}

fn ending_word(ending: &Ending) -> &'static str {
    match ending {
        Ending::Completed => "COMPLETED",
        Ending::Interrupted { .. } => "INTERRUPTED",
        Ending::Overloaded { .. } => "OVERLOADED",
        Ending::Failed { .. } => "FAILED",
    }
}

fn state_pieces(scene: Scene<'_>) -> Vec<(String, Tone)> {
    let Scene { app, .. } = scene;
    let theme = scene.theme();
    let (phase, tone) = phase_text(app, theme);
    let elapsed = format::stopwatch(app.elapsed);
    let clock = match app.run.duration {
        Some(duration) => format!("{elapsed}/{}", format::stopwatch(duration)),
        None => elapsed,
    };
    let busy = match app.rates.utilization {
        Some(utilization) => format!(" {} busy", format::percent(utilization)),
        None => String::new(),
    };
    vec![
        (format!(" {phase} "), tone),
        (format!(" {clock} "), Tone::Strong),
        (" workers ".to_owned(), Tone::Quiet),
        (level(app.workers, theme), level_tone(app.workers)),
        ("  users ".to_owned(), Tone::Quiet),
        (level(app.users, theme), level_tone(app.users)),
        ("  seats ".to_owned(), Tone::Quiet),
        (format!("{}/{}", app.seats.busy, app.seats.staffed), Tone::Plain),
        (busy, Tone::Plain),
        ("  scenario ".to_owned(), Tone::Quiet),
        (app.run.scenario.clone(), Tone::Plain),
        ("  seed ".to_owned(), Tone::Quiet),
        (app.run.seed.to_string(), Tone::Plain),
        ("  run ".to_owned(), Tone::Quiet),
        (app.run.id.short(), Tone::Plain),
    ]
}

/// Returns an actual number, and the wanted one where it differs.
pub(crate) fn level(level: Level, theme: Theme) -> String {
    let actual = format::count(u64::from(level.actual));
    if level.actual == level.target {
        return actual;
    }
    let target = format::count(u64::from(level.target));
    format!("{actual}{}{target}", theme.pick("→", ">"))
}

/// Returns the state in few words, for a small terminal.
fn short_pieces(scene: Scene<'_>) -> Vec<(String, Tone)> {
    let Scene { app, .. } = scene;
    let theme = scene.theme();
    let (phase, tone) = phase_text(app, theme);
    vec![
        (format!(" {phase} "), tone),
        (format::stopwatch(app.elapsed), Tone::Strong),
        (" wrk ".to_owned(), Tone::Quiet),
        (level(app.workers, theme), level_tone(app.workers)),
        (" usr ".to_owned(), Tone::Quiet),
        (level(app.users, theme), level_tone(app.users)),
        (" seats ".to_owned(), Tone::Quiet),
        (format!("{}/{}", app.seats.busy, app.seats.staffed), Tone::Plain),
    ]
}

fn level_tone(level: Level) -> Tone {
    if level.actual == level.target { Tone::Strong } else { Tone::Warning }
}

fn fact_pieces(scene: Scene<'_>) -> Vec<(String, Tone)> {
    let Scene { ui, app } = scene;
    if let Some(toast) = &ui.toast {
        let tone = super::store::severity_tone(toast.severity);
        return vec![(format!(" {}", toast.text), tone)];
    }
    if let Some(failure) = &app.failure {
        return vec![(format!(" FAILED: {}", scene.shortened(failure)), Tone::Bad)];
    }
    if let Some(trouble) = &app.store.trouble {
        let intake = if app.store.is_blocked { "intake paused" } else { "little room left" };
        let trouble = scene.shortened(trouble);
        return vec![(format!(" DISK, {intake}: {trouble}; goes on by itself"), Tone::Bad)];
    }
    if let Some(trouble) = &app.store.index_trouble {
        let trouble = scene.shortened(trouble);
        let text = format!(" INDEX behind, tickets go on: {trouble}; goes on by itself");
        return vec![(text, Tone::Warning)];
    }
    if let Phase::Recovering(reading) = app.phase {
        let mut pieces = vec![(format!(" {}", recovery::progress(reading)), Tone::Plain)];
        pieces.extend(promise_pieces(app));
        return pieces;
    }
    let totals = &app.totals;
    let mut pieces = vec![
        (" served ".to_owned(), Tone::Quiet),
        (format::count(totals.served), Tone::Plain),
        ("  rejected ".to_owned(), Tone::Quiet),
        (format::count(totals.rejected), bad_if(totals.rejected)),
    ];
    for (name, count) in [
        ("  redelivered ", totals.redelivered),
        ("  failed ", totals.failed),
        ("  dropped ", totals.dropped),
        ("  bad peers ", totals.bad_peers),
        ("  recovered ", totals.recovered),
    ] {
        if count > 0 {
            pieces.push((name.to_owned(), Tone::Quiet));
            pieces.push((format::count(count), Tone::Warning));
        }
    }
    pieces.extend(promise_pieces(app));
    pieces
}

/// Returns the policy and what it can lose.
fn promise_pieces(app: &AppState) -> [(String, Tone); 3] {
    [
        ("  fsync ".to_owned(), Tone::Quiet),
        (app.run.fsync.clone(), Tone::Plain),
        (format!(": a power loss takes {}", app.run.power_loss_takes), Tone::Quiet),
    ]
}

fn bad_if(count: u64) -> Tone {
    if count > 0 { Tone::Warning } else { Tone::Plain }
}

/// Draws the keys that can be pressed now.
pub(crate) fn draw_keys(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    let mut pieces = vec![(" ".to_owned(), Tone::Plain)];
    let mut add = |key: String, word: &str, is_enabled: bool| {
        let tone = if is_enabled { Tone::Accent } else { Tone::Quiet };
        pieces.push((format!("{key} "), tone));
        pieces.push((format!("{word}  "), if is_enabled { Tone::Plain } else { Tone::Quiet }));
    };
    if let Some(overlay) = &scene.ui.overlay {
        for (key, word) in keymap::overlay_keys(overlay) {
            add((*key).to_owned(), word, true);
        }
    } else {
        for entry in REGISTRY.iter().filter(|entry| !entry.short.is_empty()) {
            let reason = keymap::disabled_reason(entry.action, scene.ui, scene.app);
            let is_paused = scene.app.phase == Phase::Paused;
            let word = if entry.short == "pause" && is_paused { "resume" } else { entry.short };
            add(entry.keys[0].name(), word, reason.is_none());
        }
    }
    draw_pieces(&pieces, theme, area, buf);
}
