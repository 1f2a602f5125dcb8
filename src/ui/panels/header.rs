//! The lines at the top and the key bar at the bottom.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{draw_pieces, goals};
use crate::app::settings::Deviation;
use crate::app::state::{AppState, Attached, Ending, Level, Phase, Replay, View};
use crate::app::{format, recovery};
use crate::ui::bars;
use crate::ui::model::WINDOWS;
use crate::ui::past::Sharpness;
use crate::ui::theme::{Theme, Tone};
use crate::ui::time;
use crate::ui::view::Scene;

/// Draws state, run, population and seats in one line, and the time at its right.
pub(crate) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    let mut clock = scene.app.wall.to_string();
    if scene.app.phase == Phase::Paused && scene.ui.frozen.is_none() {
        // While the run stands still nobody is woken for a second.
        clock.truncate("hh:mm".len());
    }
    let width = u16::try_from(clock.len()).unwrap_or(0);
    if area.width < 80 {
        return draw_pieces(&short_pieces(scene), theme, area, buf);
    }
    let left = Rect { width: area.width.saturating_sub(width + 2), ..area };
    draw_pieces(&state_pieces(scene), theme, left, buf);
    let x = area.right() - width - 1;
    buf.set_string(x, area.y, clock, theme.style(Tone::Quiet));
}

/// Draws the tabs, and at their right the time that charts cover and which moment is shown.
pub(crate) fn draw_tabs(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    let mut end = area.x;
    for tab in bars::tabs(scene, area) {
        let tone = if tab.screen == scene.ui.screen { Tone::Strong } else { Tone::Quiet };
        let room = usize::from(tab.area.width);
        buf.set_stringn(tab.area.x, area.y, &tab.text, room, theme.style(tone));
        end = tab.area.right();
    }
    let window = format::window(WINDOWS[scene.ui.window]);
    let (moment, tone) = moment(scene);
    let full = vec![(format!("window {window}  "), Tone::Quiet), (moment.clone(), tone)];
    let mut shorter = vec![full, vec![(moment, tone)]];
    if scene.cursor().is_some() {
        shorter.push(vec![(cursor_text(scene), tone)]);
    }
    for pieces in shorter {
        let width: usize = pieces.iter().map(|(text, _)| text.chars().count()).sum();
        let width = u16::try_from(width).unwrap_or(u16::MAX);
        if end.saturating_add(width + 2) <= area.right() {
            let x = area.right() - width - 1;
            return draw_pieces(&pieces, theme, Rect { x, width, ..area }, buf);
        }
    }
}

/// Returns which moment is shown.
fn moment(scene: Scene<'_>) -> (String, Tone) {
    let theme = scene.theme();
    if let Some(replay) = time::replay(scene.app) {
        return replayed(replay, scene);
    }
    match &scene.ui.frozen {
        Some(frozen) => {
            let symbol = theme.pick("‖", "=");
            let mut text = format!("{symbol} FROZEN at {}", frozen.shown.wall);
            if !frozen.is_newest() {
                let ago = format::duration(frozen.newest().since(frozen.at));
                text = format!("{symbol} {}, {ago} back", frozen.shown.wall);
            }
            match frozen.sharpness {
                Sharpness::Whole => {}
                Sharpness::Nearest(_) => text.push_str(", tables older"),
                Sharpness::Seconds => text.push_str(", no tables"),
            }
            (text, Tone::Warning)
        }
        None => attached(scene),
    }
}

/// Returns whether what is shown is now, and whose it is.
fn attached(scene: Scene<'_>) -> (String, Tone) {
    let theme = scene.theme();
    let symbol = theme.pick("●", "*");
    match &scene.live.view {
        View::Attached(Attached { lost: Some(_), .. }) => {
            (format!("{} ATTACHED, nobody there", theme.pick("✗", "x")), Tone::Bad)
        }
        View::Attached(attached) => {
            let skipped = match attached.skipped {
                0 => String::new(),
                skipped => format!(", {skipped} skipped"),
            };
            let how = if attached.may_act { "" } else { ", looks only" };
            (format!("{symbol} ATTACHED{how}{skipped}"), Tone::Good)
        }
        _ => (format!("{symbol} LIVE"), Tone::Good),
    }
}

/// Returns the moment that a frozen display looks at, in few characters.
pub(crate) fn cursor_text(scene: Scene<'_>) -> String {
    format!("{} {}", scene.theme().pick("‖", "="), scene.app.wall)
}

/// Returns which moment of which run is replayed, and how fast.
fn replayed(replay: &Replay, scene: Scene<'_>) -> (String, Tone) {
    let theme = scene.theme();
    let symbol = if replay.is_playing { theme.pick("▶", ">") } else { theme.pick("‖", "=") };
    let run = match replay.runs {
        1 => String::new(),
        runs => format!(" run {} of {runs}", replay.number),
    };
    let left = format::duration(replay.until.since(replay.at));
    let pace = match replay.speed_milli {
        _ if replay.is_following => ", follows the log".to_owned(),
        1000 => format!(", {left} left"),
        milli => format!(", {left} left at {}", format::speed(milli)),
    };
    (format!("{symbol} REPLAY{run} {}{pace}", scene.app.wall), Tone::Warning)
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
    let app = scene.app;
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
    let mut pieces = vec![
        (format!(" {phase} "), tone),
        (format!(" {clock} "), Tone::Strong),
        (" workers ".to_owned(), Tone::Quiet),
        (level(app.workers, theme), level_tone(app.workers)),
        ("  users ".to_owned(), Tone::Quiet),
        (level(app.users, theme), level_tone(app.users)),
        ("  seats ".to_owned(), Tone::Quiet),
        (seats(app), Tone::Plain),
        (busy, Tone::Plain),
    ];
    // What is not as usual goes before what there may be no room for.
    let mut notable = deviation_pieces(app);
    notable.extend(goals::pieces(app));
    notable.extend(growth_piece(scene));
    if let Some((last, _)) = notable.last_mut() {
        last.push(' ');
    }
    pieces.splice(2..2, notable);
    pieces.extend(loss_pieces(app));
    pieces.extend([
        ("  scenario ".to_owned(), Tone::Quiet),
        (app.run.scenario.clone(), Tone::Plain),
        ("  seed ".to_owned(), Tone::Quiet),
        (app.run.seed_text(), Tone::Plain),
        ("  run ".to_owned(), Tone::Quiet),
        (app.run.id.short(), Tone::Plain),
        ("  fsync ".to_owned(), Tone::Quiet),
        (app.run.fsync.clone(), Tone::Plain),
    ]);
    pieces
}

/// Returns busy and staffed seats.
fn seats(app: &AppState) -> String {
    let staffed = format::known(app.seats.staffed, |staffed| staffed.to_string());
    format!("{}/{staffed}", app.seats.busy)
}

/// Returns an actual number, and the wanted one where it differs.
pub(crate) fn level(level: Level, theme: Theme) -> String {
    let count = |number: Option<u32>| format::known(number, |number| format::count(number.into()));
    let actual = count(level.actual);
    if level.is_reached() {
        return actual;
    }
    let target = count(level.target);
    format!("{actual}{}{target}", theme.pick("→", ">"))
}

/// Returns the state in few words, for a small terminal.
fn short_pieces(scene: Scene<'_>) -> Vec<(String, Tone)> {
    let app = scene.app;
    let theme = scene.theme();
    let (mut phase, tone) = phase_text(app, theme);
    if scene.cursor().is_some() {
        phase = cursor_text(scene);
    }
    let mut pieces = vec![
        (format!(" {phase} "), tone),
        (format::stopwatch(app.elapsed), Tone::Strong),
        (" wrk ".to_owned(), Tone::Quiet),
        (level(app.workers, theme), level_tone(app.workers)),
        (" usr ".to_owned(), Tone::Quiet),
        (level(app.users, theme), level_tone(app.users)),
    ];
    pieces.extend(goals::pieces(app));
    pieces.extend(growth_piece(scene));
    pieces.extend([(" seats ".to_owned(), Tone::Quiet), (seats(app), Tone::Plain)]);
    pieces.extend(deviation_pieces(app));
    pieces
}

fn level_tone(level: Level) -> Tone {
    if level.is_reached() { Tone::Strong } else { Tone::Warning }
}

/// Returns what must be read before anything else, if there is something.
pub(crate) fn banner(scene: Scene<'_>) -> Option<(String, Tone)> {
    let app = scene.app;
    if let Some(failure) = &app.failure {
        return Some((format!(" FAILED: {}", scene.shortened(failure)), Tone::Alert));
    }
    if let Some(trouble) = &app.store.trouble {
        let intake = if app.store.is_blocked { "intake paused" } else { "little room left" };
        let trouble = scene.shortened(trouble);
        return Some((format!(" DISK, {intake}: {trouble}; goes on by itself"), Tone::Alert));
    }
    if let Some(trouble) = &app.store.index_trouble {
        let trouble = scene.shortened(trouble);
        let text = format!(" INDEX behind, tickets go on: {trouble}; goes on by itself");
        return Some((text, Tone::Warning));
    }
    match app.phase {
        Phase::Recovering(reading) => {
            Some((format!(" {}", recovery::progress(reading)), Tone::Plain))
        }
        _ => None,
    }
}

/// Returns what deviates from the ordinary, in few words.
fn deviation_pieces(app: &AppState) -> Vec<(String, Tone)> {
    let word = |deviation: Deviation<'_>| match deviation {
        Deviation::Strike => "STRIKE".to_owned(),
        Deviation::Frozen(process) => format!("{process} halted"),
        other => other.to_string(),
    };
    let words = app.settings.deviations().into_iter().map(word);
    words.map(|word| (format!("  {word}"), Tone::Warning)).collect()
}

/// Returns what grows, if something does.
fn growth_piece(scene: Scene<'_>) -> Option<(String, Tone)> {
    super::alerts::growth(scene).map(|growth| (format!("  {}", growth.word()), Tone::Warning))
}

/// Returns counts of what went wrong: only what is not zero.
fn loss_pieces(app: &AppState) -> Vec<(String, Tone)> {
    let totals = &app.totals;
    let counts = [
        ("  rejected ", totals.rejected),
        ("  redelivered ", Some(totals.redelivered)),
        ("  failed ", Some(totals.failed)),
        ("  dropped ", totals.dropped),
        ("  bad peers ", totals.bad_peers),
    ];
    let lost = counts
        .into_iter()
        .filter_map(|(name, count)| Some((name, count.filter(|&count| count > 0)?)));
    lost.flat_map(|(name, count)| {
        [(name.to_owned(), Tone::Quiet), (format::count(count), Tone::Warning)]
    })
    .collect()
}

/// Draws what must be read.
pub(crate) fn draw_banner(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    if let Some(piece) = banner(scene) {
        draw_pieces(&[piece], scene.theme(), area, buf);
    }
}

/// Draws the keys that can be pressed now.
pub(crate) fn draw_keys(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    if scene.ui.is_meter_shown && scene.ui.overlay.is_none() {
        let text = format!(" dashboard: {}", scene.ui.meter.text());
        return super::draw_cut(vec![(text, Tone::Quiet)], theme, area, buf);
    }
    for word in bars::keys(scene, area) {
        let tone = |tone| if word.is_enabled { tone } else { Tone::Quiet };
        let pieces = [
            (format!("{} ", word.key), tone(Tone::Accent)),
            (word.word.to_owned(), tone(Tone::Plain)),
        ];
        draw_pieces(&pieces, theme, word.area, buf);
    }
}
