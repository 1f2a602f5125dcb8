//! What the mouse does: it finds what lies under it with the same functions that draw it.

use std::sync::Arc;

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use engine::clock::Time;
use ratatui::layout::{Position, Rect};

use super::bars;
use super::model::{Effect, Find, Overlay, Sight, UiState};
use super::panels::{self, Content, overlays};
use super::registry::Command;
use super::view::{self, Scene};
use super::widgets::table;
use crate::app::state::AppState;

/// Rows that one notch of the wheel moves.
const WHEEL_ROWS: usize = 3;

impl UiState {
    /// Acts on the mouse.
    pub(crate) fn mouse(
        &mut self,
        event: MouseEvent,
        live: &Arc<AppState>,
        now: Time,
    ) -> Vec<Effect> {
        let at = Position::new(event.column, event.row);
        let shown = Arc::clone(self.shown(live));
        let sight = Sight { live, shown: &shown };
        let wheel = match event.kind {
            MouseEventKind::ScrollUp => Some(Command::Up),
            MouseEventKind::ScrollDown => Some(Command::Down),
            _ => None,
        };
        match (event.kind, wheel) {
            (_, Some(command)) => self.wheel(command, at, sight, now),
            (MouseEventKind::Down(MouseButton::Left), _) => self.click(at, sight, now),
            _ => Vec::new(),
        }
    }

    fn wheel(
        &mut self,
        command: Command,
        at: Position,
        sight: Sight<'_>,
        now: Time,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        match &mut self.overlay {
            Some(Overlay::Find(Find { selected, .. })) => {
                *selected = match command {
                    Command::Up => selected.saturating_sub(1),
                    _ => *selected + 1,
                };
                if let Some(Overlay::Find(find)) = &mut self.overlay {
                    find.selected = find.selected.min(find.rows().len().saturating_sub(1));
                }
            }
            Some(Overlay::Detail(detail)) => {
                detail.scroll = match command {
                    Command::Up => detail.scroll.saturating_sub(1),
                    _ => (detail.scroll + 1).min(detail.lines.len().saturating_sub(1)),
                };
            }
            Some(_) => {}
            None => {
                self.focus_at(at, sight);
                for _ in 0..WHEEL_ROWS {
                    effects.extend(self.act(command, None, sight, now));
                }
            }
        }
        effects
    }

    /// Focuses the panel under the mouse and returns what is inside its border.
    fn focus_at(&mut self, at: Position, sight: Sight<'_>) -> Option<Rect> {
        let has_banner = view::has_banner(Scene { ui: self, app: sight.shown, live: sight.live });
        let areas = self.areas(has_banner);
        let (panel, area) = areas.panels.into_iter().find(|(_, area)| area.contains(at))?;
        self.set_focus(panel);
        Some(view::inside(area, areas.class))
    }

    fn click(&mut self, at: Position, sight: Sight<'_>, now: Time) -> Vec<Effect> {
        if let Some(overlay) = self.overlay.take() {
            return self.click_overlay(overlay, at, sight, now);
        }
        let scene = Scene { ui: self, app: sight.shown, live: sight.live };
        let areas = self.areas(view::has_banner(scene));
        if areas.tabs.contains(at) {
            let tab = bars::tabs(scene, areas.tabs).into_iter().find(|tab| tab.area.contains(at));
            return tab.map_or_else(Vec::new, |tab| {
                self.act(Command::Screen(tab.screen), None, sight, now)
            });
        }
        if areas.keys.contains(at) {
            let words = bars::keys(scene, areas.keys);
            let word = words.into_iter().find(|word| word.area.contains(at));
            return word
                .and_then(|word| word.command)
                .map_or_else(Vec::new, |command| self.act(command, None, sight, now));
        }
        let was = self.focus();
        let Some(inner) = self.focus_at(at, sight).filter(|inner| inner.contains(at)) else {
            return Vec::new();
        };
        let is_same = was == self.focus();
        self.click_row(inner, at, is_same, sight, now)
    }

    /// Selects the row under the mouse, opens it the second time, or sorts by the head.
    fn click_row(
        &mut self,
        inner: Rect,
        at: Position,
        is_same_panel: bool,
        sight: Sight<'_>,
        now: Time,
    ) -> Vec<Effect> {
        let focus = self.focus();
        let scene = Scene { ui: self, app: sight.shown, live: sight.live };
        let Content::Table(rows) = panels::content(focus, scene, inner.width) else {
            return Vec::new();
        };
        let arrangement = self.arrangement(focus);
        let shown = arrangement.shown(&rows);
        if at.y == inner.y {
            if let Some(column) = table::column_at(rows.columns, inner, at.x) {
                self.arrangements.entry(focus).or_default().sort_by(rows.columns, column);
            }
            return Vec::new();
        }
        let selected = arrangement.selected(&shown);
        let Some(row) = table::row_at(shown.len(), selected, inner, at.y) else {
            return Vec::new();
        };
        if is_same_panel && selected == Some(row) && arrangement.selected.is_some() {
            return self.act(Command::Open, None, sight, now);
        }
        self.arrangements.entry(focus).or_default().selected = Some(shown[row].key.clone());
        Vec::new()
    }

    fn click_overlay(
        &mut self,
        overlay: Overlay,
        at: Position,
        sight: Sight<'_>,
        now: Time,
    ) -> Vec<Effect> {
        let area = overlays::area(&overlay, self.area);
        if !area.contains(at) {
            // A click beside it closes what asks for nothing.
            if matches!(overlay, Overlay::Prompt(_) | Overlay::Confirm(_)) {
                self.overlay = Some(overlay);
            }
            return Vec::new();
        }
        let line = overlays::line_at(&overlay, area, at.y);
        match (overlay, line) {
            (Overlay::Find(mut find), Some(line)) => {
                find.selected = line;
                self.run_found(&find, sight, now)
            }
            (Overlay::Menu(menu), Some(line)) => self.choose(&menu, line, sight, now),
            (overlay, _) => {
                self.overlay = Some(overlay);
                Vec::new()
            }
        }
    }
}
