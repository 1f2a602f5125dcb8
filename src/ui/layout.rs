//! Where everything stands, for any size: a pure function of size, focus and zoom.
//!
//! Four classes: wide shows all panels at once; normal shows charts, percentiles, services and
//! one more panel; small shows one-line charts and one panel; tiny shows what matters most in
//! lines.

use ratatui::layout::{Constraint, Layout, Rect};

/// A part of the screen that can be focused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Panel {
    Processes,
    Logs,
    Latency,
    Services,
    Store,
    Throughput,
    Queue,
}

impl Panel {
    /// All panels, in the order in which Tab visits them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Processes,
        Self::Logs,
        Self::Latency,
        Self::Services,
        Self::Store,
        Self::Throughput,
        Self::Queue,
    ];
}

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Wide,
    Normal,
    Small,
    Tiny,
}

/// Where everything stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Areas {
    pub(crate) class: Class,
    /// State and facts.
    pub(crate) header: Rect,
    /// One-line charts, where the room is too small for panels.
    pub(crate) lines: Rect,
    /// The panels that are shown.
    pub(crate) panels: Vec<(Panel, Rect)>,
    /// What happened last.
    pub(crate) notices: Rect,
    /// The keys.
    pub(crate) keys: Rect,
}

impl Class {
    /// Returns the class of a size.
    pub(crate) fn of(area: Rect) -> Self {
        match (area.width, area.height) {
            (120.., 35..) => Self::Wide,
            (80.., 24..) => Self::Normal,
            (40.., 12..) => Self::Small,
            _ => Self::Tiny,
        }
    }
}

/// Returns where everything stands.
pub(crate) fn areas(area: Rect, focus: Panel, is_zoomed: bool) -> Areas {
    let class = Class::of(area);
    let empty = Rect::new(area.x, area.y, 0, 0);
    let mut areas = Areas {
        class,
        header: empty,
        lines: empty,
        panels: Vec::new(),
        notices: empty,
        keys: empty,
    };
    if class == Class::Tiny {
        areas.lines = area;
        return areas;
    }
    let [header, body, keys] =
        Layout::vertical([Constraint::Length(2), Constraint::Min(0), Constraint::Length(1)])
            .areas(area);
    (areas.header, areas.keys) = (header, keys);
    match class {
        _ if is_zoomed => areas.panels = vec![(focus, body)],
        Class::Wide => wide(body, &mut areas),
        Class::Normal => normal(body, focus, &mut areas),
        Class::Small | Class::Tiny => small(body, focus, &mut areas),
    }
    areas
}

fn wide(body: Rect, areas: &mut Areas) {
    let charts_height = if body.height >= 40 { 13 } else { 10 };
    let [charts, middle, bottom] = Layout::vertical([
        Constraint::Length(charts_height),
        Constraint::Fill(3),
        Constraint::Fill(2),
    ])
    .areas(body);
    let halves = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]);
    let [throughput, queue] = halves.areas(charts);
    let columns = Layout::horizontal([Constraint::Fill(1), Constraint::Length(66)]);
    let [processes, right] = columns.areas(middle);
    let [latency, services] =
        Layout::vertical([Constraint::Length(9), Constraint::Min(0)]).areas(right);
    let [logs, right] = columns.areas(bottom);
    let store_height = if bottom.height >= 12 { 8 } else { 7 };
    let [store, notices] =
        Layout::vertical([Constraint::Length(store_height), Constraint::Min(0)]).areas(right);
    areas.panels = vec![
        (Panel::Throughput, throughput),
        (Panel::Queue, queue),
        (Panel::Processes, processes),
        (Panel::Latency, latency),
        (Panel::Services, services),
        (Panel::Logs, logs),
        (Panel::Store, store),
    ];
    areas.notices = notices;
}

fn normal(body: Rect, focus: Panel, areas: &mut Areas) {
    let charts_height = if body.height >= 30 { 9 } else { 6 };
    let [charts, middle, bottom] = Layout::vertical([
        Constraint::Length(charts_height),
        Constraint::Length(8),
        Constraint::Min(0),
    ])
    .areas(body);
    let halves = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]);
    let [throughput, queue] = halves.areas(charts);
    let [latency, services] =
        Layout::horizontal([Constraint::Length(42), Constraint::Min(0)]).areas(middle);
    // The rest is for one panel: the focused one, unless it is shown already.
    let bottom_panel = match focus {
        Panel::Logs | Panel::Store => focus,
        _ => Panel::Processes,
    };
    areas.panels = vec![
        (Panel::Throughput, throughput),
        (Panel::Queue, queue),
        (Panel::Latency, latency),
        (Panel::Services, services),
        (bottom_panel, bottom),
    ];
}

fn small(body: Rect, focus: Panel, areas: &mut Areas) {
    let [lines, panel] = Layout::vertical([Constraint::Length(4), Constraint::Min(0)]).areas(body);
    areas.lines = lines;
    areas.panels = vec![(focus, panel)];
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_overlaps_or_leaves_the_screen(
            width in 0u16..320, height in 0u16..120, focus in 0..Panel::ALL.len(), zoom: bool,
        ) {
            let area = Rect::new(0, 0, width, height);
            let areas = areas(area, Panel::ALL[focus], zoom);
            let mut all = vec![areas.header, areas.lines, areas.notices, areas.keys];
            all.extend(areas.panels.iter().map(|(_, rect)| *rect));
            for (index, rect) in all.iter().enumerate() {
                prop_assert!(rect.is_empty() || area.intersection(*rect) == *rect);
                for other in &all[index + 1..] {
                    prop_assert!(rect.intersection(*other).is_empty(), "{rect} and {other}");
                }
            }
        }
    }

    #[test]
    fn the_focused_panel_is_shown_wherever_there_are_panels() {
        for (width, height) in [(160, 45), (120, 40), (80, 24), (50, 15)] {
            for focus in Panel::ALL {
                let areas = areas(Rect::new(0, 0, width, height), focus, false);
                assert!(areas.panels.iter().any(|(panel, _)| *panel == focus), "{focus:?}");
            }
        }
    }
}
