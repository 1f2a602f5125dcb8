//! What the dashboard remembers: plain data, changed by `update` and `overlays`, drawn by `view`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::clock::{Time, WallTime};
use ratatui::layout::Rect;
use tui_input::Input;

use super::ask::Ask;
use super::heard::Heard;
use super::layout::{Areas, Panel, View, areas};
use super::logbook::{LogBook, LogView};
use super::meter::Meter;
use super::options::Options;
use super::past::{Frozen, Past};
use super::registry::{Command, Keymap, Screen};
use super::theme::Theme;
use super::widgets::table::Arrangement;
use crate::app::action::{self, Action, ProcessId};
use crate::app::conf::Overwrite;
use crate::app::handle::Access;
use crate::app::state::{AppState, LatencyRow, ProcessRow, Severity};

/// How long a toast stays.
pub(crate) const TOAST_TIME: Duration = Duration::from_secs(4);
/// Toasts that are shown at once.
const TOASTS_MAX: usize = 3;
/// Settings that can be taken back.
const UNDOS_MAX: usize = 16;
pub(crate) use crate::app::view_args::WINDOWS;

/// Charts of at most this are made of four samples a second, as long as those are kept.
pub(crate) const FINE_WINDOW: Duration = Duration::from_secs(300);

/// Percentiles that others are compared with.
#[derive(Clone, Debug)]
pub(crate) struct Pinned {
    /// When they held.
    pub(crate) wall: WallTime,
    /// The span that they are of, as in [`UiState::recent`].
    pub(crate) span: Option<usize>,
    pub(crate) latencies: Vec<LatencyRow>,
}

/// What the dashboard remembers.
#[derive(Clone, Debug)]
pub(crate) struct UiState {
    pub(crate) theme: Theme,
    pub(crate) keymap: Keymap,
    /// The size of the terminal.
    pub(crate) area: Rect,
    pub(crate) screen: Screen,
    /// The focused panel of each screen.
    focus: [Panel; 8],
    /// Whether it has the whole screen, of each screen.
    zoomed: [bool; 8],
    /// The span of the charts, by its place in [`WINDOWS`].
    pub(crate) window: usize,
    /// The span of the latencies that are shown, by its place in
    /// [`crate::app::state::RECENT_SPANS`]; `None` is the measured window.
    pub(crate) recent: Option<usize>,
    /// What the office looked like in past seconds.
    pub(crate) past: Past,
    /// What is shown while the display is frozen.
    pub(crate) frozen: Option<Frozen>,
    /// The span that was selected to be looked at more closely, and where one that is being selected
    /// begins.
    pub(crate) range: Option<(Time, Time)>,
    pub(super) range_from: Option<Time>,
    /// Whether charts stand still and their newest column moves.
    pub(crate) is_sweeping: bool,
    /// Percentiles that others are compared with.
    pub(crate) pinned: Option<Pinned>,
    pub(crate) overlay: Option<Overlay>,
    /// Newest last.
    pub(crate) toasts: Vec<Toast>,
    /// How tables are arranged.
    pub(crate) arrangements: BTreeMap<Panel, Arrangement>,
    /// The first line of texts that are shown.
    pub(crate) scrolls: BTreeMap<Panel, usize>,
    /// What was logged.
    pub(crate) logbook: LogBook,
    /// Which of it is shown.
    pub(crate) log_view: LogView,
    /// What may be asked of the office from here.
    pub(crate) access: Access,
    /// A ticket is being looked for in the log.
    pub(crate) is_searching: bool,
    /// Up to where it was told what people have done.
    pub(super) heard: Heard,
    /// Wishes whose outcome is to be told, and what they are called.
    pub(super) asked: Vec<(action::Ask, String)>,
    /// The reload that was shown last, by when it was read.
    pub(super) plan_seen: WallTime,
    /// Alerts up to this moment have been taken note of.
    pub(crate) acknowledged: WallTime,
    /// What the dashboard itself costs.
    pub(crate) meter: Meter,
    /// Whether that is shown in place of the key bar.
    pub(crate) is_meter_shown: bool,
    /// Whether the terminal tells us of the mouse.
    pub(crate) has_mouse: bool,
    /// Where the last export went, if a person chose it.
    pub(super) export_dir: Option<PathBuf>,
    /// Newest last.
    pub(super) undos: Vec<Undo>,
    /// Presses of Ctrl-C in a row.
    pub(super) interrupts: u8,
}

/// How to take a setting back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Undo {
    /// Do this.
    Do(Effect),
    /// Sort a panel's rows as before: by a column, and whether from the greatest down.
    Sort(Panel, Option<(usize, bool)>),
}

/// Something over the screen that takes keys.
#[derive(Clone, Debug)]
pub(crate) enum Overlay {
    /// The registry: all of it by groups, or what fits a text best.
    Find(Find),
    /// A text that is being typed.
    Prompt(Prompt),
    /// Something that needs a yes.
    Confirm(Question),
    /// One of several.
    Menu(Menu),
    /// All that is known about something.
    Detail(Detail),
    /// What a reload would change.
    Plan(Plan),
}

/// A look into the registry.
#[derive(Clone, Debug)]
pub(crate) struct Find {
    /// What was typed: words, or a command and its argument.
    pub(crate) input: Input,
    /// Whether letters are typed into it; otherwise they move and choose.
    pub(crate) is_typing: bool,
    /// The help shows the groups; the palette shows the best first.
    pub(crate) is_help: bool,
    /// The selected line.
    pub(crate) selected: usize,
}

/// A text that is being typed.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    pub(crate) ask: Ask,
    pub(crate) input: Input,
    /// What stood there at first.
    pub(super) first: String,
    /// What was wrong with the last answer.
    pub(crate) error: Option<String>,
}

/// Something that needs a yes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Question {
    pub(crate) title: String,
    /// What a yes does.
    pub(crate) text: String,
    pub(crate) effects: Vec<Effect>,
}

/// One of several.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Menu {
    pub(crate) title: String,
    pub(crate) choices: Vec<Choice>,
    pub(crate) selected: usize,
}

/// A line of a menu.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    /// The letter that chooses it.
    pub(crate) key: char,
    pub(crate) label: String,
    /// What it means.
    pub(crate) note: String,
    /// The command, and what follows its name.
    pub(crate) command: Command,
    pub(crate) argument: String,
}

/// All that is known about something.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Detail {
    pub(crate) title: String,
    /// Names and values; a line without a name goes on from the one before.
    pub(crate) lines: Vec<(String, String)>,
    pub(crate) scroll: usize,
}

/// What a reload would change, or why it can't.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) title: String,
    /// Keys, and what would become of them; mistakes have no key.
    pub(crate) lines: Vec<(String, String)>,
    /// What a yes does; nothing if there is nothing to apply.
    pub(crate) yes: Option<Action>,
    pub(crate) scroll: usize,
}

/// A short word about what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toast {
    pub(crate) text: String,
    pub(crate) severity: Severity,
    pub(crate) until: Time,
}

/// What the loop must do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    Submit(Action),
    /// Write the snapshot to a new folder, in this directory or the usual one.
    Export(Option<PathBuf>),
    /// Look for a ticket in the log.
    FindTicket(u64),
    /// Write the scenario in effect to a file; over what is there only if asked.
    Save {
        path: PathBuf,
        overwrite: Overwrite,
    },
    /// Have lines up to this level logged.
    LogLevel(log::LevelFilter),
    /// Put a text on the terminal's clipboard.
    Copy(String),
    /// Have the terminal tell of the mouse, or not.
    Mouse(bool),
    /// Write the screen to files.
    SaveScreen,
    Repaint,
    Suspend,
    /// Close the dashboard; what it shows is not its own and goes on.
    Leave,
}

/// The office now, and as it is shown, which is not the same while the display is frozen; and when
/// that is.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'a> {
    /// What is so now: what commands act on.
    pub(crate) live: &'a Arc<AppState>,
    /// What a person sees: what rows are selected from.
    pub(crate) shown: &'a Arc<AppState>,
    /// When that is: toasts last from here.
    pub(crate) now: Time,
}

impl UiState {
    /// Returns the state of a dashboard that was just opened.
    pub(crate) fn new(options: &Options, keymap: Keymap) -> Self {
        Self {
            theme: options.theme,
            keymap,
            area: Rect::new(0, 0, 80, 24),
            screen: Screen::Dash,
            focus: Screen::ALL.map(|screen| screen.panels()[0]),
            zoomed: [false; 8],
            window: options.window,
            recent: None,
            past: Past::default(),
            frozen: None,
            range: None,
            range_from: None,
            is_sweeping: options.is_low_bandwidth,
            pinned: None,
            overlay: None,
            toasts: Vec::new(),
            arrangements: BTreeMap::new(),
            scrolls: BTreeMap::new(),
            logbook: LogBook::default(),
            log_view: LogView::default(),
            access: Access::Full,
            is_searching: false,
            heard: Heard::default(),
            asked: Vec::new(),
            plan_seen: WallTime::default(),
            acknowledged: WallTime::default(),
            meter: Meter::default(),
            is_meter_shown: false,
            has_mouse: options.has_mouse,
            export_dir: None,
            undos: Vec::new(),
            interrupts: 0,
        }
    }

    /// Returns what is shown: the frozen moment, or the present.
    pub(crate) fn shown<'a>(&'a self, live: &'a Arc<AppState>) -> &'a Arc<AppState> {
        self.frozen.as_ref().map_or(live, |frozen| &frozen.shown)
    }

    /// Returns the focused panel.
    pub(crate) fn focus(&self) -> Panel {
        self.focus[self.screen.index()]
    }

    /// Focuses a panel of the present screen.
    pub(crate) fn set_focus(&mut self, panel: Panel) {
        if self.screen.panels().contains(&panel) {
            self.focus[self.screen.index()] = panel;
        }
    }

    /// Returns whether the focused panel has the whole of the present screen.
    pub(crate) fn is_zoomed(&self) -> bool {
        self.zoomed[self.screen.index()]
    }

    /// Gives the focused panel the whole of the present screen, or not.
    pub(crate) fn set_zoomed(&mut self, is_zoomed: bool) {
        self.zoomed[self.screen.index()] = is_zoomed;
    }

    /// Focuses the panel that is so many steps further.
    pub(super) fn focus_by(&mut self, steps: isize) {
        let panels = self.screen.panels();
        let at = panels.iter().position(|panel| *panel == self.focus()).unwrap_or(0);
        self.set_focus(
            panels[at.wrapping_add_signed(steps + panels.len().cast_signed()) % panels.len()],
        );
    }

    /// Returns where everything stands.
    pub(crate) fn areas(&self, has_banner: bool) -> Areas {
        let (screen, focus, is_zoomed) = (self.screen, self.focus(), self.is_zoomed());
        areas(self.area, View { screen, focus, is_zoomed, has_banner })
    }

    /// Returns how a panel's table is arranged.
    pub(crate) fn arrangement(&self, panel: Panel) -> Arrangement {
        self.arrangements.get(&panel).cloned().unwrap_or_else(|| usual_arrangement(panel))
    }

    /// Returns how a panel's table is arranged, to be changed.
    pub(super) fn arrangement_mut(&mut self, panel: Panel) -> &mut Arrangement {
        self.arrangements.entry(panel).or_insert_with(|| usual_arrangement(panel))
    }

    /// Returns the selected key of the scenario, if its screen is shown: section and name.
    pub(super) fn selected_key(&self, shown: &AppState) -> Option<(String, String)> {
        if self.focus() != Panel::Conf {
            return None;
        }
        let table = super::panels::conf::table(shown);
        let arrangement = self.arrangement(Panel::Conf);
        let rows = arrangement.shown(&table);
        let (section, key) = rows.get(arrangement.selected(&rows)?)?.key.rsplit_once('.')?;
        Some((section.to_owned(), key.to_owned()))
    }

    /// Returns the selected process, by default the first.
    pub(crate) fn process<'a>(&self, shown: &'a AppState) -> Option<&'a ProcessRow> {
        let arrangement = self.arrangement(Panel::Processes);
        // Asked many times a frame; the table is only needed where its order or its words count.
        if arrangement.filter.is_empty() {
            let is_it = |row: &&ProcessRow| Some(row.id.to_string()) == arrangement.selected;
            let selected = arrangement.selected.as_ref().and(shown.processes.iter().find(is_it));
            if selected.is_some() || arrangement.sort.is_none() {
                return selected.or(shown.processes.first());
            }
        }
        let table = super::panels::processes::table(shown, self.theme);
        let rows = arrangement.shown(&table);
        let key = &rows.get(arrangement.selected(&rows)?)?.key;
        shown.processes.iter().find(|row| row.id.to_string() == *key)
    }

    /// Returns the marked processes, or else the selected one.
    pub(crate) fn processes(&self, shown: &AppState) -> Vec<ProcessId> {
        let arrangement = self.arrangement(Panel::Processes);
        let is_marked = |row: &&ProcessRow| arrangement.marked.contains(&row.id.to_string());
        let marked: Vec<ProcessId> =
            shown.processes.iter().filter(is_marked).map(|row| row.id).collect();
        if marked.is_empty() {
            self.process(shown).map(|row| row.id).into_iter().collect()
        } else {
            marked
        }
    }

    /// Says something for a while.
    pub(crate) fn say(&mut self, severity: Severity, text: impl Into<String>, now: Time) {
        let toast = Toast { text: text.into(), severity, until: now + TOAST_TIME };
        self.toasts.retain(|other| other.text != toast.text);
        if self.toasts.len() == TOASTS_MAX {
            self.toasts.remove(0);
        }
        self.toasts.push(toast);
    }

    /// Lets go of what has been shown for long enough; returns whether that changed anything.
    pub(crate) fn tick(&mut self, now: Time) -> bool {
        let before = self.toasts.len();
        self.toasts.retain(|toast| toast.until > now);
        self.toasts.len() != before
    }

    /// When [`Self::tick`] changes something.
    pub(crate) fn deadline(&self) -> Time {
        self.toasts.iter().map(|toast| toast.until).min().unwrap_or(Time::NEVER)
    }

    pub(super) fn push_undo(&mut self, undo: Undo) {
        if self.undos.len() == UNDOS_MAX {
            self.undos.remove(0);
        }
        self.undos.push(undo);
    }
}

/// Returns how a panel's table is arranged before a person arranges it.
fn usual_arrangement(panel: Panel) -> Arrangement {
    if panel == Panel::Logs { Arrangement::of_log() } else { Arrangement::default() }
}
