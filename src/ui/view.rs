//! Draws the whole screen from what is known: changes nothing, asks nobody.

use std::time::Duration;

use engine::clock::{Time, WallTime, nanos};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::layout::{Class, Panel};
use super::model::{UiState, WINDOWS};
use super::panels::{self, Content, header, lines, overlays};
use super::registry::Command;
use super::theme::{Theme, Tone, ascii_of};
use super::widgets::table;
use crate::app::state::{AppState, Phase};

/// How much later than the last thing that happened charts of a paused office end: the rates of
/// that second have come by then.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// What every panel draws from.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) ui: &'a UiState,
    /// What is shown: the present, or the moment at which the display is frozen.
    pub(crate) app: &'a AppState,
    /// The present, on which commands act.
    pub(crate) live: &'a AppState,
}

impl Scene<'_> {
    pub(crate) fn theme(&self) -> Theme {
        self.ui.theme
    }

    /// Returns the time that charts cover.
    pub(crate) fn window(&self) -> Duration {
        WINDOWS[self.ui.window]
    }

    /// Returns the moment that a frozen display looks at.
    pub(crate) fn cursor(&self) -> Option<Time> {
        self.ui.frozen.as_ref().map(|frozen| frozen.at)
    }

    /// Returns the moment after which nothing is shown: what was logged or what happened later
    /// than a frozen display looks at is left out. `None` while it follows the run.
    pub(crate) fn until(&self) -> Option<WallTime> {
        self.ui.frozen.as_ref().map(|frozen| frozen.shown.wall)
    }

    /// Returns the moment at the right edge of charts: the newest that is known, or earlier if a
    /// frozen display looks further back than charts cover. Then they turn by half a page.
    pub(crate) fn edge(&self) -> Time {
        let Some(frozen) = &self.ui.frozen else {
            return self.app.at.min(self.stands_since().unwrap_or(Time::NEVER));
        };
        let (newest, half) = (frozen.newest(), nanos(self.window()) / 2);
        let back = newest.since(frozen.at + self.window());
        let pages = nanos(back).div_ceil(half.max(1));
        Time(newest.0.saturating_sub(pages * half))
    }

    /// Returns where charts end while the office is paused: a moment after the last that happened,
    /// so that they stand as still as the office; `None` while it runs.
    pub(crate) fn stands_since(&self) -> Option<Time> {
        let paused = self.app.pauses.last().filter(|(_, until)| *until == Time::NEVER);
        let (since, _) = paused.filter(|_| self.app.phase == Phase::Paused)?;
        // What was in service then is still being served.
        let served = self.app.series.iter().rev().find(|sample| sample.in_service > 0);
        let happened = self.app.events.last().map(|event| event.at);
        let last = [served.map(|sample| sample.at), happened].into_iter().flatten().max();
        Some(last.map_or(*since, |last| last.max(*since)) + AFTERWARDS)
    }

    /// Says why a panel has nothing to show.
    pub(crate) fn reason(&self, otherwise: &'static str) -> &'static str {
        panels::reason(self.app, otherwise)
    }

    /// The same for what a log holds too.
    pub(crate) fn reason_in_time(&self, otherwise: &'static str) -> &'static str {
        panels::reason_in_time(self.app, otherwise)
    }

    /// Returns a text with paths in the data directory as short as they may be.
    pub(crate) fn shortened(&self, text: &str) -> String {
        let place = &self.app.run.data_dir;
        // Most texts name no path.
        if text.contains(place) { text.replace(&format!("{place}/"), "") } else { text.to_owned() }
    }
}

/// Returns whether there is something that must be read before anything else.
pub(crate) fn has_banner(scene: Scene<'_>) -> bool {
    header::banner(scene).is_some()
}

/// Draws everything.
pub(crate) fn draw(scene: Scene<'_>, buf: &mut Buffer) {
    let area = scene.ui.area;
    if area.is_empty() {
        return;
    }
    // The ground of a theme that has one; what is drawn on it keeps it.
    buf.set_style(area, scene.theme().style(Tone::Plain));
    let areas = scene.ui.areas(has_banner(scene));
    if areas.class == Class::Tiny {
        lines::draw_tiny(scene, areas.lines, buf);
    } else {
        header::draw(scene, areas.header, buf);
        header::draw_tabs(scene, areas.tabs, buf);
        header::draw_banner(scene, areas.banner, buf);
        lines::draw_small(scene, areas.lines, buf);
        header::draw_keys(scene, areas.keys, buf);
    }
    for (panel, rect) in areas.panels {
        draw_panel(scene, panel, areas.class, rect, buf);
    }
    overlays::draw(scene, area, buf);
    if !scene.theme().is_utf8 {
        to_ascii(buf);
    }
}

/// Replaces what such a terminal can't show, wherever it came from.
fn to_ascii(buf: &mut Buffer) {
    for cell in &mut buf.content {
        if !cell.symbol().is_ascii() {
            let plain = ascii_of(cell.symbol());
            cell.set_symbol(plain);
        }
    }
}

fn draw_panel(scene: Scene<'_>, panel: Panel, class: Class, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    let is_focused = scene.ui.focus() == panel;
    let zoomed = zoomed(scene);
    let room = area.width.saturating_sub(u16::try_from(zoomed.chars().count()).unwrap_or(0));
    let mut title = panels::title(panel, scene, room);
    let inner = inside(area, class);
    let content = panels::drawn(panel, scene, inner);
    let arrangement = scene.ui.arrangement(panel);
    if let Content::Table(_) = content {
        title.push_str(&arranged(&arrangement, panel, scene));
    }
    title.push_str(&zoomed);
    frame(theme, is_focused, &title, class, area, buf);
    if inner.is_empty() {
        return;
    }
    match content {
        Content::Table(rows) => {
            table::draw(&rows, &arrangement, is_focused, theme, inner, buf);
        }
        Content::Text(lines) => {
            let scroll = scene.ui.scrolls.get(&panel).copied().unwrap_or(0);
            panels::draw_text(&lines, scroll, class > Class::Small, theme, inner, buf);
        }
        Content::Picture => panels::paint(panel, scene, inner, buf),
    }
}

/// Says that the panel has the whole screen, and what takes that back.
fn zoomed(scene: Scene<'_>) -> String {
    if !scene.ui.is_zoomed() {
        return String::new();
    }
    match scene.ui.keymap.keys(Command::Zoom).first() {
        Some(key) => format!("  ZOOMED, {key} back"),
        None => "  ZOOMED".to_owned(),
    }
}

/// Says how a table is arranged, as far as a person has arranged it.
fn arranged(arrangement: &table::Arrangement, panel: Panel, scene: Scene<'_>) -> String {
    let mut text = String::new();
    if !arrangement.filter.is_empty() {
        let what = if arrangement.is_log { "search" } else { "filter" };
        text.push_str(&format!("  {what} {:?}", arrangement.filter));
    }
    if !arrangement.marked.is_empty() && scene.ui.focus() == panel {
        text.push_str(&format!("  {} marked", arrangement.marked.len()));
    }
    text
}

/// Returns what is inside a panel's border or below its title line.
pub(crate) fn inside(area: Rect, class: Class) -> Rect {
    match class {
        Class::Tiny | Class::Small => {
            Rect { y: area.y + 1.min(area.height), height: area.height.saturating_sub(1), ..area }
        }
        _ if area.width < 2 || area.height < 2 => Rect { width: 0, height: 0, ..area },
        _ => Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: area.height - 2 },
    }
}

/// Draws a panel's border and title, or only a title line where there is no room for a border.
fn frame(theme: Theme, is_focused: bool, title: &str, class: Class, area: Rect, buf: &mut Buffer) {
    let tone = if is_focused { Tone::Accent } else { Tone::Quiet };
    if class <= Class::Small {
        if area.is_empty() {
            return;
        }
        let width = usize::from(area.width);
        let rule = theme.pick("─", "-").repeat(width);
        buf.set_stringn(area.x, area.y, rule, width, theme.style(Tone::Quiet));
        let title = table::visible(title, width.saturating_sub(4));
        let title = format!(" {title} ");
        buf.set_stringn(area.x + 1, area.y, title, width.saturating_sub(1), theme.style(tone));
        return;
    }
    bordered(theme, tone, title, area, buf);
}

/// Draws a border with a title and returns what is inside.
pub(crate) fn bordered(
    theme: Theme,
    tone: Tone,
    title: &str,
    area: Rect,
    buf: &mut Buffer,
) -> Rect {
    if area.width < 2 || area.height < 2 {
        return Rect { width: 0, height: 0, ..area };
    }
    let style = theme.style(tone);
    let [horizontal, vertical] = [theme.pick("─", "-"), theme.pick("│", "|")];
    let (right, bottom) = (area.right() - 1, area.bottom() - 1);
    for x in area.left()..=right {
        buf.set_string(x, area.y, horizontal, style);
        buf.set_string(x, bottom, horizontal, style);
    }
    for y in area.top()..=bottom {
        buf.set_string(area.x, y, vertical, style);
        buf.set_string(right, y, vertical, style);
    }
    for (x, y, utf8) in
        [(area.x, area.y, "┌"), (right, area.y, "┐"), (area.x, bottom, "└"), (right, bottom, "┘")]
    {
        buf.set_string(x, y, theme.pick(utf8, "+"), style);
    }
    if area.width > 6 && !title.is_empty() {
        let room = usize::from(area.width) - 4;
        let title = super::widgets::table::visible(title, room.saturating_sub(2));
        buf.set_string(area.x + 2, area.y, format!(" {title} "), style);
    }
    Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: area.height - 2 }
}

#[cfg(test)]
mod tests;
