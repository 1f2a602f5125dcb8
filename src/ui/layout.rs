//! Where everything stands, for any size: a pure function of size, screen, focus and zoom. Drawing
//! and the mouse both ask it.
//!
//! Four classes: wide shows all panels of a screen at once; normal shows fewer, the focused one
//! among them; small shows one panel without borders; tiny shows what matters most in lines.

use ratatui::layout::{Constraint, Layout, Rect};

use super::registry::Screen;

/// A part of a screen that can be focused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Panel {
    Processes,
    Services,
    Latency,
    Logs,
    Store,
    Alerts,
    Throughput,
    Queue,
    LatencyChart,
    LogChart,
    /// The figures of all charts, a line for each.
    Now,
    Percentiles,
    Histogram,
    Heat,
    Metrics,
    /// All about the selected process.
    Process,
    /// What is written to the log, over time.
    StoreRates,
    /// Batches, syncs and checkpoints of the log.
    Batches,
    /// The files of the log.
    Segments,
    /// The machine.
    Machine,
    /// Where the machine limits the run.
    Hints,
    /// The scenario in effect.
    Conf,
    /// What became of wishes to change it.
    Answers,
    /// What passes over each role's sockets.
    Net,
    /// What passes over all of them.
    NetTotals,
}

impl Screen {
    /// Returns the panels of the screen, in the order in which Tab visits them.
    pub(crate) fn panels(self) -> &'static [Panel] {
        match self {
            Self::Dash => &[
                Panel::Processes,
                Panel::Latency,
                Panel::Services,
                Panel::Logs,
                Panel::Store,
                Panel::Alerts,
                Panel::Throughput,
                Panel::Queue,
                Panel::LatencyChart,
                Panel::LogChart,
                Panel::Now,
            ],
            Self::Procs => &[Panel::Processes, Panel::Process, Panel::Services],
            Self::Perf => &[Panel::Percentiles, Panel::Histogram, Panel::Heat, Panel::Metrics],
            Self::Store => &[Panel::Store, Panel::StoreRates, Panel::Batches, Panel::Segments],
            Self::Net => &[
                Panel::Net,
                Panel::NetTotals,
                Panel::Services,
                Panel::Throughput,
                Panel::LatencyChart,
            ],
            Self::Sys => &[Panel::Machine, Panel::Hints],
            Self::Logs => &[Panel::Logs],
            Self::Conf => &[Panel::Conf, Panel::Answers],
        }
    }
}

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Tiny,
    Small,
    Normal,
    Wide,
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

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) screen: Screen,
    pub(crate) focus: Panel,
    pub(crate) is_zoomed: bool,
    /// Whether there is something that must be read before anything else.
    pub(crate) has_banner: bool,
}

/// Where everything stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Areas {
    pub(crate) class: Class,
    /// The state of the run.
    pub(crate) header: Rect,
    /// The screens.
    pub(crate) tabs: Rect,
    /// What must be read.
    pub(crate) banner: Rect,
    /// One-line charts, where the room is too small for panels.
    pub(crate) lines: Rect,
    /// The panels that are shown.
    pub(crate) panels: Vec<(Panel, Rect)>,
    /// The keys.
    pub(crate) keys: Rect,
}

/// The least width of a chart.
const CHART_WIDTH: u16 = 38;
/// The least height of what is between tabs and keys for alerts beside the rest, where it is not
/// wide.
const ALERTS_HEIGHT: u16 = 26;
/// The least width of a screen on which log lines have room beside other panels.
const BESIDE_WIDTH: u16 = 150;

/// How a screen is divided.
enum Plan {
    One(Panel),
    Rows(Vec<(Constraint, Plan)>),
    Columns(Vec<(Constraint, Plan)>),
}

use Constraint::{Fill, Length};
use Plan::{Columns, One, Rows};

/// Returns where everything stands.
pub(crate) fn areas(area: Rect, view: View) -> Areas {
    let class = Class::of(area);
    let empty = Rect::new(area.x, area.y, 0, 0);
    let mut areas = Areas {
        class,
        header: empty,
        tabs: empty,
        banner: empty,
        lines: empty,
        panels: Vec::new(),
        keys: empty,
    };
    if class == Class::Tiny {
        tiny(area, view, &mut areas);
        return areas;
    }
    let banner = u16::from(view.has_banner);
    let [header, tabs, banner, body, keys] =
        Layout::vertical([Length(1), Length(1), Length(banner), Fill(1), Length(1)]).areas(area);
    (areas.header, areas.tabs, areas.banner, areas.keys) = (header, tabs, banner, keys);
    match class {
        _ if view.is_zoomed => areas.panels = vec![(view.focus, body)],
        Class::Small | Class::Tiny if view.screen == Screen::Dash => {
            let [lines, panel] = Layout::vertical([Length(5), Fill(1)]).areas(body);
            areas.lines = lines;
            areas.panels = vec![(view.focus, panel)];
        }
        Class::Small | Class::Tiny => areas.panels = vec![(view.focus, body)],
        Class::Wide | Class::Normal => {
            let mut plan = plan(view.screen, class, body);
            if !plan.has(view.focus) {
                plan.replace_last(view.focus);
            }
            plan.place(body, &mut areas.panels);
        }
    }
    areas
}

/// The state stays in sight; the dash has its figures, other screens their focused panel.
fn tiny(area: Rect, view: View, areas: &mut Areas) {
    if area.height < 4 || view.screen == Screen::Dash && !view.is_zoomed {
        areas.lines = area;
        return;
    }
    let [header, panel] = Layout::vertical([Length(1), Fill(1)]).areas(area);
    areas.lines = header;
    areas.panels = vec![(view.focus, panel)];
}

/// Returns how a screen is divided where there is room for several panels.
fn plan(screen: Screen, class: Class, body: Rect) -> Plan {
    let is_wide = class == Class::Wide;
    match screen {
        Screen::Dash if is_wide => dash_wide(body),
        Screen::Dash => dash_normal(body),
        Screen::Procs if is_wide => Rows(vec![
            (Fill(1), One(Panel::Processes)),
            (
                Length(13),
                Columns(vec![(Fill(1), One(Panel::Process)), (Length(66), One(Panel::Services))]),
            ),
        ]),
        Screen::Procs => {
            Rows(vec![(Fill(1), One(Panel::Processes)), (Length(9), One(Panel::Process))])
        }
        Screen::Perf => perf(is_wide),
        Screen::Store if is_wide => Rows(vec![
            (
                Length(14),
                Columns(vec![(Fill(1), One(Panel::Store)), (Fill(1), One(Panel::StoreRates))]),
            ),
            (
                Fill(1),
                Columns(vec![(Fill(1), One(Panel::Segments)), (Length(72), One(Panel::Batches))]),
            ),
        ]),
        Screen::Store => {
            Rows(vec![(Length(11), One(Panel::Store)), (Fill(1), One(Panel::StoreRates))])
        }
        Screen::Sys if is_wide && body.width >= 150 => {
            Columns(vec![(Fill(3), One(Panel::Machine)), (Fill(2), One(Panel::Hints))])
        }
        Screen::Sys => Rows(vec![(Fill(2), One(Panel::Machine)), (Fill(1), One(Panel::Hints))]),
        Screen::Net if is_wide => Rows(vec![
            (Length(8), One(Panel::Net)),
            (
                Length(11),
                Columns(vec![(Fill(1), One(Panel::NetTotals)), (Length(66), One(Panel::Services))]),
            ),
            (
                Fill(1),
                Columns(vec![
                    (Fill(1), One(Panel::Throughput)),
                    (Fill(1), One(Panel::LatencyChart)),
                ]),
            ),
        ]),
        Screen::Net => Rows(vec![(Length(9), One(Panel::Net)), (Fill(1), One(Panel::NetTotals))]),
        Screen::Conf => Rows(vec![(Fill(1), One(Panel::Conf)), (Length(7), One(Panel::Answers))]),
        other => One(other.panels()[0]),
    }
}

fn dash_wide(body: Rect) -> Plan {
    let charts = if body.height >= 40 { 13 } else { 10 };
    // A chart that is narrower has no room for its head.
    let all = [Panel::Throughput, Panel::LatencyChart, Panel::Queue, Panel::LogChart];
    let shown = all.iter().take(usize::from(body.width / CHART_WIDTH));
    let shown = Columns(shown.map(|chart| (Fill(1), One(*chart))).collect());
    if body.width < BESIDE_WIDTH {
        return dash_narrow(body, charts, shown);
    }
    let store = store_height(((body.height - charts) * 2).div_ceil(5));
    Rows(vec![
        (Length(charts), shown),
        (
            Fill(3),
            Columns(vec![
                (Fill(1), One(Panel::Processes)),
                (
                    Length(66),
                    Rows(vec![(Length(9), One(Panel::Latency)), (Fill(1), One(Panel::Services))]),
                ),
            ]),
        ),
        (
            Fill(2),
            Columns(vec![
                (Fill(1), One(Panel::Logs)),
                (
                    Length(66),
                    Rows(vec![(Length(store), One(Panel::Store)), (Fill(1), One(Panel::Alerts))]),
                ),
            ]),
        ),
    ])
}

/// Returns the height of the store above the alerts, which keep room for two of them.
fn store_height(room: u16) -> u16 {
    (room / 2).clamp(7, 12).min(room.saturating_sub(5))
}

/// The same where log lines beside other panels would be too short to be read.
fn dash_narrow(body: Rect, charts: u16, shown: Plan) -> Plan {
    let logs = (body.height - charts) / 4;
    let store = store_height(body.height.saturating_sub(charts + logs + 9));
    Rows(vec![
        (Length(charts), shown),
        (
            Fill(1),
            Columns(vec![
                (
                    Fill(1),
                    Rows(vec![(Fill(1), One(Panel::Processes)), (Length(6), One(Panel::Services))]),
                ),
                (
                    Length(66),
                    Rows(vec![
                        (Length(9), One(Panel::Latency)),
                        (Length(store), One(Panel::Store)),
                        (Fill(1), One(Panel::Alerts)),
                    ]),
                ),
            ]),
        ),
        (Length(logs), One(Panel::Logs)),
    ])
}

fn dash_normal(body: Rect) -> Plan {
    let mut rows = vec![
        (Length(6), One(Panel::Now)),
        (
            Length(8),
            Columns(vec![(Length(42), One(Panel::Latency)), (Fill(1), One(Panel::Services))]),
        ),
        (Fill(1), One(Panel::Processes)),
    ];
    if body.height >= ALERTS_HEIGHT {
        rows.push((Length(5), One(Panel::Alerts)));
    }
    Rows(rows)
}

fn perf(is_wide: bool) -> Plan {
    let pictures = Columns(vec![(Fill(1), One(Panel::Histogram)), (Fill(1), One(Panel::Heat))]);
    let mut rows = vec![(Length(9), One(Panel::Percentiles)), (Fill(1), pictures)];
    if is_wide {
        rows.push((Fill(1), One(Panel::Metrics)));
    }
    Rows(rows)
}

impl Plan {
    fn has(&self, panel: Panel) -> bool {
        match self {
            One(own) => *own == panel,
            Rows(parts) | Columns(parts) => parts.iter().any(|(_, part)| part.has(panel)),
        }
    }

    fn replace_last(&mut self, panel: Panel) {
        match self {
            One(own) => *own = panel,
            Rows(parts) | Columns(parts) => {
                if let Some((_, part)) = parts.last_mut() {
                    part.replace_last(panel);
                }
            }
        }
    }

    fn place(&self, area: Rect, panels: &mut Vec<(Panel, Rect)>) {
        let (parts, rects) = match self {
            One(panel) => return panels.push((*panel, area)),
            Rows(parts) => (parts, Layout::vertical(parts.iter().map(|part| part.0)).split(area)),
            Columns(parts) => {
                (parts, Layout::horizontal(parts.iter().map(|part| part.0)).split(area))
            }
        };
        for ((_, part), rect) in parts.iter().zip(rects.iter()) {
            part.place(*rect, panels);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn views() -> impl Strategy<Value = View> {
        (0..Screen::ALL.len(), 0usize..20, any::<bool>(), any::<bool>()).prop_map(
            |(screen, focus, is_zoomed, has_banner)| {
                let screen = Screen::ALL[screen];
                let panels = screen.panels();
                View { screen, focus: panels[focus % panels.len()], is_zoomed, has_banner }
            },
        )
    }

    proptest! {
        #[test]
        fn nothing_overlaps_or_leaves_the_screen(
            width in 0u16..320, height in 0u16..120, view in views(),
        ) {
            let area = Rect::new(0, 0, width, height);
            let areas = areas(area, view);
            let mut all = vec![areas.header, areas.tabs, areas.banner, areas.lines, areas.keys];
            all.extend(areas.panels.iter().map(|(_, rect)| *rect));
            for (index, rect) in all.iter().enumerate() {
                prop_assert!(rect.is_empty() || area.intersection(*rect) == *rect);
                for other in &all[index + 1..] {
                    prop_assert!(rect.intersection(*other).is_empty(), "{rect} and {other}");
                }
            }
        }

        #[test]
        fn the_focused_panel_is_shown_once_wherever_there_are_panels(
            size in prop::sample::select(vec![(160, 45), (120, 40), (80, 24), (50, 15)]),
            view in views(),
        ) {
            let areas = areas(Rect::new(0, 0, size.0, size.1), view);
            let shown = areas.panels.iter().filter(|(panel, _)| *panel == view.focus);
            prop_assert_eq!(shown.count(), 1);
        }
    }

    #[test]
    fn the_dash_keeps_room_for_two_alerts() {
        for (width, height) in [(120, 35), (120, 40), (149, 60), (150, 35), (160, 45), (80, 29)] {
            let view = View {
                screen: Screen::Dash,
                focus: Panel::Processes,
                is_zoomed: false,
                has_banner: false,
            };
            let areas = areas(Rect::new(0, 0, width, height), view);
            let alerts = areas.panels.iter().find(|(panel, _)| *panel == Panel::Alerts);
            // A border and the heads of columns come with them.
            assert!(alerts.is_some_and(|(_, rect)| rect.height >= 5), "{width}x{height}");
        }
    }
}
