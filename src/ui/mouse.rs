//! What the mouse does: it finds what lies under it with the same functions that draw it.

use std::sync::Arc;

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use engine::clock::Time;
use ratatui::layout::{Position, Rect};

use super::bars;
use super::model::{Effect, Overlay, Sight, UiState};
use super::panels::{self, Content, overlays};
use super::registry::Command;
use super::view;
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
        let sight = Sight { live, shown: &shown, now };
        let wheel = match event.kind {
            MouseEventKind::ScrollUp => Some(Command::Up),
            MouseEventKind::ScrollDown => Some(Command::Down),
            _ => None,
        };
        match (event.kind, wheel) {
            (_, Some(command)) => self.wheel(command, at, sight),
            (MouseEventKind::Down(MouseButton::Left), _) => {
                self.range_from = None;
                self.click(at, sight)
            }
            (MouseEventKind::Drag(MouseButton::Left), _) => {
                self.drag(at, sight);
                Vec::new()
            }
            (MouseEventKind::Up(MouseButton::Left), _) => self.drop(sight),
            _ => Vec::new(),
        }
    }

    fn wheel(&mut self, command: Command, at: Position, sight: Sight<'_>) -> Vec<Effect> {
        if let Some(mut overlay) = self.overlay.take() {
            self.walk_overlay(&mut overlay, command);
            self.overlay = Some(overlay);
            return Vec::new();
        }
        self.focus_at(at, sight);
        (0..WHEEL_ROWS).flat_map(|_| self.act(command, None, sight)).collect()
    }

    /// Focuses the panel under the mouse and returns what is inside its border.
    fn focus_at(&mut self, at: Position, sight: Sight<'_>) -> Option<Rect> {
        let has_banner = view::has_banner(self.scene(sight));
        let areas = self.areas(has_banner);
        let (panel, area) = areas.panels.into_iter().find(|(_, area)| area.contains(at))?;
        self.set_focus(panel);
        Some(view::inside(area, areas.class))
    }

    /// Selects what lies on the focused chart between where the button went down and the mouse.
    fn drag(&mut self, at: Position, sight: Sight<'_>) {
        let (Some(from), Some(chart)) = (self.range_from, panels::chart(self.focus())) else {
            return;
        };
        let inner = self.inside(sight);
        let to = panels::charts::nearest_moment(chart, self.scene(sight), inner, at.x);
        self.range = to.filter(|to| *to != from).map(|to| (from.min(to), from.max(to)));
    }

    /// Ends a drag: what was selected is told, and its end is looked at.
    fn drop(&mut self, sight: Sight<'_>) -> Vec<Effect> {
        match (self.range_from.take(), self.range) {
            (Some(_), Some((from, to))) => {
                self.select_range(from, to, sight.now);
                self.look_at(to, sight)
            }
            _ => Vec::new(),
        }
    }

    fn click(&mut self, at: Position, sight: Sight<'_>) -> Vec<Effect> {
        if let Some(overlay) = self.overlay.take() {
            return self.click_overlay(overlay, at, sight);
        }
        let scene = self.scene(sight);
        let areas = self.areas(view::has_banner(scene));
        if areas.tabs.contains(at) {
            let tab = bars::tabs(scene, areas.tabs).into_iter().find(|tab| tab.area.contains(at));
            return tab
                .map_or_else(Vec::new, |tab| self.act(Command::Screen(tab.screen), None, sight));
        }
        if areas.keys.contains(at) {
            let words = bars::keys(scene, areas.keys);
            let word = words.into_iter().find(|word| word.area.contains(at));
            return word
                .and_then(|word| word.command)
                .map_or_else(Vec::new, |command| self.act(command, None, sight));
        }
        let was = self.focus();
        let Some(inner) = self.focus_at(at, sight).filter(|inner| inner.contains(at)) else {
            return Vec::new();
        };
        let is_same = was == self.focus();
        self.click_row(inner, at, is_same, sight)
    }

    /// Selects the row under the mouse, opens it the second time, or sorts by the head; on a chart,
    /// looks at the moment under the mouse.
    fn click_row(
        &mut self,
        inner: Rect,
        at: Position,
        is_same_panel: bool,
        sight: Sight<'_>,
    ) -> Vec<Effect> {
        let focus = self.focus();
        let scene = self.scene(sight);
        if let Some(chart) = panels::chart(focus) {
            let moment = panels::charts::moment_at(chart, scene, inner, at.x);
            // A drag begins here.
            (self.range, self.range_from) = (None, moment);
            return moment.map_or_else(Vec::new, |moment| self.look_at(moment, sight));
        }
        let Content::Table(rows) = panels::content(focus, scene, inner.width) else {
            return Vec::new();
        };
        let arrangement = self.arrangement(focus);
        let shown = arrangement.shown(&rows);
        if at.y == inner.y {
            if let Some(column) = table::column_at(rows.columns, inner, at.x) {
                self.sort_by(rows.columns, column);
            }
            return Vec::new();
        }
        let selected = arrangement.selected(&shown);
        let Some(row) = table::row_at(shown.len(), selected, inner, at.y) else {
            return Vec::new();
        };
        if is_same_panel && selected == Some(row) && arrangement.selected.is_some() {
            return self.act(Command::Open, None, sight);
        }
        self.arrangement_mut(focus).selected = Some(shown[row].key.clone());
        Vec::new()
    }

    fn click_overlay(&mut self, overlay: Overlay, at: Position, sight: Sight<'_>) -> Vec<Effect> {
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
                self.run_found(&find, sight)
            }
            (Overlay::Menu(menu), Some(line)) => self.choose(&menu, line, sight),
            (overlay, _) => {
                self.overlay = Some(overlay);
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::Buffer;

    use super::*;
    use crate::app::action::Action;
    use crate::app::state::Phase;
    use crate::ui::layout::Panel;
    use crate::ui::registry::Screen;
    use crate::ui::testing;
    use crate::ui::view::Scene;

    /// Finds a text on the screen and clicks on its first letter.
    fn click(ui: &mut UiState, app: &Arc<AppState>, text: &str) -> Vec<Effect> {
        let mut buf = Buffer::empty(ui.area);
        view::draw(Scene { ui, app: ui.shown(app), live: app }, &mut buf);
        let width = usize::from(ui.area.width);
        let found = buf.content.chunks(width).enumerate().find_map(|(row, cells)| {
            let symbols: Vec<&str> = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
            let wanted = text.chars().count();
            let is_it = |at: &usize| symbols[*at..at + wanted].concat() == text;
            Some(((0..=width - wanted).find(is_it)?, row))
        });
        let (column, row) = found.unwrap_or_else(|| panic!("{text:?} is not on the screen"));
        let at = |number: usize| u16::try_from(number).unwrap();
        let kind = MouseEventKind::Down(MouseButton::Left);
        let modifiers = crossterm::event::KeyModifiers::NONE;
        let event = MouseEvent { kind, column: at(column), row: at(row), modifiers };
        ui.mouse(event, app, Time(1))
    }

    fn wheel(ui: &mut UiState, app: &Arc<AppState>, (column, row): (u16, u16)) {
        let kind = MouseEventKind::ScrollDown;
        let modifiers = crossterm::event::KeyModifiers::NONE;
        assert_eq!(ui.mouse(MouseEvent { kind, column, row, modifiers }, app, Time(1)), []);
    }

    #[test]
    fn a_click_hits_what_is_seen() {
        let (mut ui, app) = (testing::ui(), Arc::new(testing::app()));
        ui.area = Rect::new(0, 0, 160, 45);
        assert_eq!(click(&mut ui, &app, "pause"), [Effect::Submit(Action::Pause)]);
        click(&mut ui, &app, "worker 1");
        assert_eq!(ui.process(&app).unwrap().id, app.processes[3].id);
        assert!(ui.overlay.is_none());
        click(&mut ui, &app, "worker 1");
        assert!(matches!(&ui.overlay, Some(Overlay::Detail(detail)) if detail.title == "worker 1"));
        click(&mut ui, &app, "Tickets/s");
        assert!(ui.overlay.is_none(), "a click beside it closes it");
        click(&mut ui, &app, "memory");
        assert_eq!(ui.arrangement(Panel::Processes).sort, Some((4, true)));
        click(&mut ui, &app, "3 Perf");
        assert_eq!(ui.screen, Screen::Perf);
    }

    #[test]
    fn a_banner_moves_what_is_seen_and_what_is_hit() {
        let (mut ui, mut app) = (testing::ui(), testing::app());
        ui.area = Rect::new(0, 0, 160, 45);
        app.phase = Phase::Recovering(None);
        let app = Arc::new(app);
        click(&mut ui, &app, "worker 2");
        assert_eq!(ui.process(&app).unwrap().id, app.processes[4].id);
    }

    #[test]
    fn menus_and_the_palette_are_clicked_and_questions_are_not_clicked_away() {
        let (mut ui, app) = (testing::ui(), Arc::new(testing::app()));
        ui.area = Rect::new(0, 0, 160, 45);
        click(&mut ui, &app, "palette");
        assert_eq!(click(&mut ui, &app, "Freeze arrivals"), [Effect::Submit(Action::Pause)]);
        click(&mut ui, &app, "worker 0");
        click(&mut ui, &app, "quit");
        assert!(matches!(ui.overlay, Some(Overlay::Confirm(_))));
        click(&mut ui, &app, "Tickets/s");
        assert!(matches!(ui.overlay, Some(Overlay::Confirm(_))), "an answer is needed");
    }

    #[test]
    fn what_is_said_of_a_command_is_no_command() {
        let (mut ui, app) = (testing::ui(), Arc::new(testing::app()));
        ui.area = Rect::new(0, 0, 80, 24);
        let sight = Sight { live: &app, shown: &app, now: Time(1) };
        ui.act(Command::Help, None, sight);
        assert_eq!(click(&mut ui, &app, "│ pause "), []);
        assert!(matches!(ui.overlay, Some(Overlay::Find(_))), "{:?}", ui.overlay);
        let asked = click(&mut ui, &app, "End the run (asks)");
        assert!(asked.is_empty() && matches!(ui.overlay, Some(Overlay::Confirm(_))));
    }

    #[test]
    fn the_wheel_moves_what_is_under_it() {
        let (mut ui, app) = (testing::ui(), Arc::new(testing::app()));
        ui.area = Rect::new(0, 0, 160, 45);
        wheel(&mut ui, &app, (5, 20));
        assert_eq!(
            (ui.focus(), ui.process(&app).unwrap().id),
            (Panel::Processes, app.processes[3].id)
        );
    }
}
