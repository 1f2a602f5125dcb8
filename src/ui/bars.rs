//! The tabs and the key bar: what stands where, for drawing and for the mouse alike.

use ratatui::layout::Rect;

use super::model::Overlay;
use super::registry::{Command, Entry, REGISTRY, Screen};
use super::view::Scene;
use crate::app::state::{Phase, View};

/// The tab of a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tab {
    pub(crate) screen: Screen,
    pub(crate) text: String,
    pub(crate) area: Rect,
}

/// A word of the key bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// What a click on it does.
    pub(crate) command: Option<Command>,
    pub(crate) key: String,
    pub(crate) word: &'static str,
    pub(crate) is_enabled: bool,
    pub(crate) area: Rect,
}

/// Returns the tabs that fit, from the left.
pub(crate) fn tabs(scene: Scene<'_>, area: Rect) -> Vec<Tab> {
    let text = |screen: Screen, (letters, gap): (usize, &str)| {
        let key = scene.ui.keymap.keys(Command::Screen(screen));
        let key = key.first().map(ToString::to_string).unwrap_or_default();
        let name: String = screen.name().chars().take(letters).collect();
        match (screen == scene.ui.screen, gap.is_empty()) {
            (true, _) => format!("[{key}{gap}{name}]"),
            (false, false) => format!(" {key}{gap}{name} "),
            (false, true) => format!("{key}{name} "),
        }
    };
    let width = |form: (usize, &str)| -> usize {
        Screen::ALL.iter().map(|screen| text(*screen, form).chars().count()).sum()
    };
    // Whole names, or as many letters as there is room for.
    let room = usize::from(area.width);
    let forms = [(5, " "), (5, ""), (4, ""), (3, ""), (2, ""), (1, ""), (0, "")];
    let form = forms.into_iter().find(|form| width(*form) <= room).unwrap_or((0, ""));
    let mut x = area.x;
    let tab = |screen: Screen| {
        let text = text(screen, form);
        let width = u16::try_from(text.chars().count()).unwrap_or(0);
        let area = Rect { x, width, height: 1, ..area }.intersection(area);
        x = x.saturating_add(width);
        Tab { screen, text, area }
    };
    Screen::ALL.into_iter().map(tab).collect()
}

/// Returns the keys that can be pressed now, as many as fit: what matters most is always there.
pub(crate) fn keys(scene: Scene<'_>, area: Rect) -> Vec<Word> {
    let words: Vec<Offer> = match &scene.ui.overlay {
        Some(overlay) => {
            let offer = |(rank, (key, word)): (u8, &(&str, &'static str))| Offer {
                rank,
                command: None,
                key: (*key).to_owned(),
                word,
            };
            let mut words: Vec<Offer> = (1..).zip(overlay_keys(overlay)).map(offer).collect();
            // The last one leaves it.
            if let Some(last) = words.last_mut() {
                last.rank = 0;
            }
            words
        }
        None => commands(scene),
    };
    let mut x = area.x + 1;
    let word = |Offer { command, key, word, .. }: Offer| {
        let width = width(&key, word).min(area.right().saturating_sub(x));
        let is_enabled = command.is_none_or(|command| {
            scene.ui.disabled_reason(command, scene.live, scene.app).is_none()
        });
        let area = Rect { x, width, height: 1, ..area };
        x += width + GAP;
        Word { command, key, word, is_enabled, area }
    };
    fitting(words, area.width).into_iter().map(word).collect()
}

/// Cells between two words of the key bar.
const GAP: u16 = 2;

/// A word that the key bar may have.
struct Offer {
    /// The greatest goes first where there is no room.
    rank: u8,
    command: Option<Command>,
    key: String,
    word: &'static str,
}

fn width(key: &str, word: &str) -> u16 {
    u16::try_from(key.chars().count() + 1 + word.chars().count()).unwrap_or(u16::MAX)
}

/// Returns the words that fit, in their order: none is there while one that matters more is not.
fn fitting(mut words: Vec<Offer>, room: u16) -> Vec<Offer> {
    let needed = |words: &[Offer]| {
        words.iter().fold(1_u16, |sum, offer| {
            sum.saturating_add(width(&offer.key, offer.word)).saturating_add(GAP)
        })
    };
    while needed(&words) > room.saturating_add(GAP) {
        let Some(least) = (0..words.len()).max_by_key(|&at| words[at].rank) else { break };
        words.remove(least);
    }
    words
}

/// What moves a frozen display through time, with its words and ranks.
const TRAVEL: [(Command, &str, u8); 5] = [
    (Command::Live, "live", 3),
    (Command::ScrubBack, "back", 4),
    (Command::ScrubForward, "forward", 5),
    (Command::EventBack, "prev event", 6),
    (Command::EventForward, "next event", 7),
];

/// Where help and the way out end and travelling ends, by rank.
const ALWAYS_RANK: u8 = 2;
const TRAVEL_RANKS: u8 = 5;

/// Returns the commands of the key bar; while frozen, those that move through time come first. The
/// way out is at the end.
fn commands(scene: Scene<'_>) -> Vec<Offer> {
    let key_of = |command: Command| {
        scene.ui.keymap.keys(command).first().map(ToString::to_string).unwrap_or_default()
    };
    let is_in_past = scene.ui.is_in_past(scene.live);
    let travel = TRAVEL.iter().filter(|_| is_in_past).map(|&(command, word, rank)| Offer {
        rank,
        command: Some(command),
        key: key_of(command),
        word,
    });
    let usual = REGISTRY.iter().filter(|entry| !entry.short.is_empty()).map(|entry| {
        let more = if is_in_past && entry.rank > ALWAYS_RANK { TRAVEL_RANKS } else { 0 };
        Offer {
            rank: entry.rank + more,
            command: Some(entry.command),
            key: key_of(entry.command),
            word: word(entry, scene),
        }
    });
    let mut all: Vec<Offer> = travel.chain(usual).filter(|offer| !offer.key.is_empty()).collect();
    all.sort_by_key(|offer| offer.command == Some(Command::Quit));
    all
}

/// Returns the word of a command as things are.
fn word(entry: &Entry, scene: Scene<'_>) -> &'static str {
    let is_paused = scene.app.phase == Phase::Paused;
    match entry.command {
        Command::PauseResume if is_paused => "resume",
        Command::Freeze if scene.ui.frozen.is_some() => "follow",
        Command::Zoom if scene.ui.is_zoomed() => "unzoom",
        Command::Quit if scene.live.view != View::Live => "leave",
        _ => entry.short,
    }
}

/// Returns the keys of an overlay.
fn overlay_keys(overlay: &Overlay) -> &'static [(&'static str, &'static str)] {
    match overlay {
        Overlay::Find(find) if find.is_typing => {
            &[("Enter", "do it"), ("Up/Down", "choose"), ("Tab", "complete"), ("Esc", "close")]
        }
        Overlay::Find(_) => {
            &[("j/k", "choose"), ("Enter", "do it"), ("/", "search"), ("Esc", "close")]
        }
        Overlay::Prompt(prompt) if prompt.ask.is_stepped() => {
            &[("Enter", "set"), ("+/-", "step"), ("Esc", "close")]
        }
        Overlay::Prompt(_) => &[("Enter", "do it"), ("Esc", "close")],
        Overlay::Confirm(_) => &[("y/Enter", "yes"), ("n/Esc", "no")],
        Overlay::Menu(_) => &[("a-z", "choose"), ("Enter", "do it"), ("Esc", "close")],
        Overlay::Plan(plan) if plan.yes.is_some() => {
            &[("y", "apply"), ("n", "drop it"), ("j/k", "scroll")]
        }
        Overlay::Plan(_) => &[("j/k", "scroll"), ("Esc", "close")],
        Overlay::Detail(_) => &[("j/k", "scroll"), ("y", "copy"), ("Esc", "close")],
    }
}
