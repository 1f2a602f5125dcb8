//! One registry of everything a person can do: keys, key bar, help, palette, menus, mouse and
//! `postoffice-tui keys` all read it, and `update` carries it out.

use crossterm::event::KeyCode;

pub(crate) use super::command::{Command, Group, Risk};
use super::key::Key;
pub(crate) use super::keymap::Keymap;
pub(crate) use super::screen::Screen;

/// One line of the registry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) command: Command,
    /// Its name in the palette, in preferences and in `keys`.
    pub(crate) id: &'static str,
    /// What it does, for people.
    pub(crate) doc: &'static str,
    /// The word in the key bar; empty if it is not shown there.
    pub(crate) short: &'static str,
    /// How soon it goes where the key bar has no room for all: the greatest first.
    pub(crate) rank: u8,
    /// The keys, the first of which is shown in the key bar.
    pub(crate) keys: &'static [Key],
    pub(crate) group: Group,
    pub(crate) risk: Risk,
    /// What may follow its name in the palette; empty if nothing may.
    pub(crate) argument: &'static str,
    /// Whether its keys mean it only while the display is frozen; then they mean nothing else.
    pub(crate) is_for_frozen: bool,
}

const fn entry(
    command: Command,
    id: &'static str,
    keys: &'static [Key],
    group: Group,
    doc: &'static str,
) -> Entry {
    let (short, rank, argument) = ("", 0, "");
    let risk = Risk::Look;
    Entry { command, id, doc, short, rank, keys, group, risk, argument, is_for_frozen: false }
}

impl Entry {
    /// Shows it in the key bar, unless there is only room for what has a lower rank.
    const fn short(self, short: &'static str, rank: u8) -> Self {
        Self { short, rank, ..self }
    }

    const fn changes(self) -> Self {
        Self { risk: Risk::Change, ..self }
    }

    const fn destroys(self) -> Self {
        Self { risk: Risk::Destroy, ..self }
    }

    const fn takes(self, argument: &'static str) -> Self {
        Self { argument, ..self }
    }

    const fn frozen(self) -> Self {
        Self { is_for_frozen: true, ..self }
    }
}

const fn char(char: char) -> Key {
    Key::Char(char)
}

const fn named(code: KeyCode) -> Key {
    Key::Named(code)
}

use Group::{Office, Program, Run, Screens, Tables, Time};

/// Everything that a person can do, in the order of the key bar and the help.
pub(crate) const REGISTRY: &[Entry] = &[
    entry(Command::Help, "help", &[char('?'), named(KeyCode::F(1))], Program, "Show this help")
        .short("help", 1),
    entry(
        Command::Palette,
        "palette",
        &[char(':'), Key::Ctrl('p')],
        Program,
        "Find anything by name and do it",
    )
    .short("palette", 3),
    entry(
        Command::PauseResume,
        "pause",
        &[char('p')],
        Run,
        "Freeze arrivals and dispatch, or let them go on",
    )
    .short("pause", 4)
    .changes(),
    entry(Command::Users, "users", &[char('u')], Office, "How many users there should be")
        .short("users", 7)
        .takes("N, +N or -N")
        .changes(),
    entry(
        Command::DrainUsers,
        "drain-users",
        &[char('D')],
        Office,
        "Send all users home; the office stays open",
    )
    .changes(),
    entry(Command::Workers, "workers", &[char('w')], Office, "How many workers there should be")
        .short("workers", 8)
        .takes("N, +N or -N")
        .changes(),
    entry(
        Command::Step,
        "step",
        &[char('.')],
        Run,
        "Let a paused office go on for exactly some time",
    )
    .takes("SPAN")
    .changes(),
    entry(
        Command::Signals,
        "signals",
        &[char('K')],
        Office,
        "Kill, restart or stop the selected or marked processes",
    )
    .short("signals", 12)
    .destroys(),
    entry(
        Command::Chaos,
        "chaos",
        &[char('x')],
        Office,
        "What can go wrong on purpose: strike, kill, slow, block",
    )
    .short("chaos", 10)
    .changes(),
    entry(
        Command::Kill,
        "kill",
        &[],
        Office,
        "Kill the selected or marked processes; the office recovers",
    )
    .destroys(),
    entry(
        Command::Restart,
        "restart",
        &[char('r')],
        Office,
        "End the selected or marked processes and start them again",
    )
    .destroys(),
    entry(
        Command::Halt,
        "halt",
        &[],
        Office,
        "The selected or marked processes stand still for a time",
    )
    .takes("SPAN")
    .changes(),
    entry(Command::Continue, "continue", &[], Office, "Processes that stand still go on").changes(),
    entry(
        Command::Strike,
        "strike",
        &[char('X')],
        Office,
        "Workers take no more tickets, or take them again",
    )
    .changes(),
    entry(
        Command::Block,
        "block",
        &[char('b')],
        Office,
        "A service's tickets are not handed out, or are again",
    )
    .takes("SERVICE")
    .changes(),
    entry(
        Command::SlowIssuer,
        "slow-issuer",
        &[char('I')],
        Office,
        "Each round of handing out tickets comes late, or not",
    )
    .takes("SPAN or off")
    .changes(),
    entry(Command::Speed, "speed", &[char('P')], Office, "How many times as fast users live")
        .takes("FACTOR")
        .changes(),
    entry(
        Command::Rate,
        "rate",
        &[char('d')],
        Office,
        "How many requests per second an open load sends",
    )
    .takes("LOAD PER_SECOND")
    .changes(),
    entry(
        Command::Fsync,
        "fsync",
        &[char('F')],
        Office,
        "When the log is synced, and what a power loss takes",
    )
    .takes("POLICY")
    .changes(),
    entry(Command::SetKey, "set", &[char('V')], Office, "Change a key of the scenario")
        .takes("SECTION.KEY=VALUE")
        .changes(),
    entry(
        Command::Reload,
        "reload",
        &[char('R')],
        Office,
        "Read the scenario again and show what would change",
    )
    .changes(),
    entry(
        Command::SaveConf,
        "save",
        &[char('W')],
        Office,
        "Write the scenario in effect to a file",
    )
    .takes("FILE"),
    entry(Command::Undo, "undo", &[Key::Ctrl('_')], Office, "Take the last setting back").changes(),
    entry(
        Command::Export,
        "export",
        &[char('e')],
        Run,
        "Write tables, charts and a report to a new folder",
    )
    .short("export", 11)
    .takes("DIRECTORY"),
    entry(
        Command::ExportAgain,
        "export-again",
        &[char('E')],
        Run,
        "Export to the directory of the last time",
    ),
    entry(Command::FindTicket, "ticket", &[char('T')], Run, "Show one ticket's whole history")
        .takes("ID"),
    entry(
        Command::Quit,
        "quit",
        &[char('q')],
        Run,
        "End the run (asks): arrivals stop, what is open is served",
    )
    .short("quit", 2)
    .destroys(),
    entry(
        Command::QuitNow,
        "quit-now",
        &[char('Q')],
        Run,
        "End the run at once (asks); open tickets stay in the log",
    )
    .destroys(),
    entry(
        Command::Freeze,
        "freeze",
        &[char('f')],
        Time,
        "Freeze what is shown, or follow the run again",
    )
    .short("freeze", 5),
    entry(
        Command::ScrubBack,
        "scrub-back",
        &[named(KeyCode::Left), char('h')],
        Time,
        "One sample back in time; freezes",
    )
    .takes("SPAN"),
    entry(
        Command::ScrubForward,
        "scrub-forward",
        &[named(KeyCode::Right), char('l')],
        Time,
        "One sample forward in time",
    )
    .takes("SPAN"),
    entry(Command::NextRun, "next-run", &[char('}')], Time, "In a replay: the next run of the log"),
    entry(
        Command::PreviousRun,
        "previous-run",
        &[char('{')],
        Time,
        "In a replay: the run before it in the log",
    ),
    entry(
        Command::LeapBack,
        "leap-back",
        &[char('H')],
        Time,
        "A tenth of the window back in time; freezes",
    ),
    entry(
        Command::LeapForward,
        "leap-forward",
        &[char('L')],
        Time,
        "A tenth of the window forward in time",
    ),
    entry(
        Command::EventBack,
        "event-back",
        &[char('[')],
        Time,
        "Back to the event before; freezes",
    ),
    entry(Command::EventForward, "event-forward", &[char(']')], Time, "Forward to the next event"),
    entry(Command::Oldest, "oldest", &[named(KeyCode::Home)], Time, "To the oldest moment kept")
        .frozen(),
    entry(Command::Live, "live", &[named(KeyCode::End)], Time, "Back to the present").frozen(),
    entry(
        Command::Range,
        "range",
        &[char('A')],
        Time,
        "Select a span for Perf: from here, then up to here",
    )
    .takes("SPAN"),
    entry(
        Command::Sweep,
        "sweep",
        &[char('v')],
        Time,
        "Charts stand still and are swept, or move on",
    ),
    entry(Command::Pin, "pin", &[char('c')], Time, "Compare percentiles with those shown now"),
    entry(Command::Unpin, "unpin", &[char('C')], Time, "Compare percentiles with nothing"),
    entry(
        Command::WindowShorter,
        "window-shorter",
        &[char('-')],
        Time,
        "Charts over a shorter time",
    ),
    entry(
        Command::WindowLonger,
        "window-longer",
        &[char('+'), char('=')],
        Time,
        "Charts over a longer time",
    ),
    entry(Command::WindowDefault, "window", &[char('0')], Time, "Charts over the usual time")
        .takes("1m, 5m, 15m, 1h or 6h"),
    entry(
        Command::Recent,
        "latency-span",
        &[char('i')],
        Time,
        "Latencies of the run, or of the last 1, 10 or 60 s",
    ),
    entry(Command::Screen(Screen::Dash), "dash", &[char('1')], Screens, "The whole at a glance"),
    entry(
        Command::Screen(Screen::Procs),
        "procs",
        &[char('2')],
        Screens,
        "Processes, services and their queues",
    ),
    entry(
        Command::Screen(Screen::Perf),
        "perf",
        &[char('3')],
        Screens,
        "Percentiles, histogram, heat map, comparison",
    ),
    entry(
        Command::Screen(Screen::Store),
        "store",
        &[char('4')],
        Screens,
        "The log, its syncs and its index; one ticket's history",
    ),
    entry(
        Command::Screen(Screen::Net),
        "net",
        &[char('5')],
        Screens,
        "Connections, frames, bytes, back-pressure",
    ),
    entry(
        Command::Screen(Screen::Sys),
        "sys",
        &[char('6')],
        Screens,
        "The machine, and where it limits the run",
    ),
    entry(Command::Screen(Screen::Logs), "logs", &[char('7')], Screens, "What was logged"),
    entry(
        Command::Screen(Screen::Conf),
        "conf",
        &[char('8')],
        Screens,
        "The scenario in effect; change it here",
    ),
    entry(
        Command::NextPanel,
        "next-panel",
        &[named(KeyCode::Tab)],
        Screens,
        "Focus the next panel",
    )
    .short("panel", 13),
    entry(
        Command::PreviousPanel,
        "previous-panel",
        &[named(KeyCode::BackTab)],
        Screens,
        "Focus the panel before",
    ),
    entry(
        Command::Zoom,
        "zoom",
        &[char('z')],
        Screens,
        "Give the focused panel the whole screen, or back",
    )
    .short("zoom", 6),
    entry(
        Command::Acknowledge,
        "acknowledge",
        &[char('a')],
        Screens,
        "Take note of the alerts; they stop shouting",
    ),
    entry(Command::Up, "up", &[char('k'), named(KeyCode::Up)], Tables, "Up one row"),
    entry(Command::Down, "down", &[char('j'), named(KeyCode::Down)], Tables, "Down one row"),
    entry(Command::HalfPageUp, "half-page-up", &[Key::Ctrl('u')], Tables, "Up half a page"),
    entry(Command::HalfPageDown, "half-page-down", &[Key::Ctrl('d')], Tables, "Down half a page"),
    entry(Command::PageUp, "page-up", &[named(KeyCode::PageUp)], Tables, "Up a page"),
    entry(Command::PageDown, "page-down", &[named(KeyCode::PageDown)], Tables, "Down a page"),
    entry(Command::First, "first", &[char('g'), named(KeyCode::Home)], Tables, "To the first row"),
    entry(Command::Last, "last", &[char('G'), named(KeyCode::End)], Tables, "To the last row"),
    entry(
        Command::Open,
        "open",
        &[named(KeyCode::Enter)],
        Tables,
        "All that is known about the selected row",
    ),
    entry(Command::Mark, "mark", &[char(' ')], Tables, "Mark the row, to act on several"),
    entry(Command::Filter, "filter", &[char('/')], Tables, "Show only rows with some text")
        .short("filter", 9)
        .takes("TEXT"),
    entry(Command::NextMatch, "next-match", &[char('n')], Tables, "Select the next match"),
    entry(
        Command::PreviousMatch,
        "previous-match",
        &[char('N')],
        Tables,
        "Select the match before",
    ),
    entry(Command::Sort, "sort", &[char('s')], Tables, "Choose the column to sort by")
        .takes("COLUMN"),
    entry(Command::SortReverse, "sort-reverse", &[char('S')], Tables, "Sort the other way round"),
    entry(Command::SortLeft, "sort-left", &[char('<')], Tables, "Sort by the column before"),
    entry(Command::SortRight, "sort-right", &[char('>')], Tables, "Sort by the next column"),
    entry(Command::Copy, "copy", &[char('y')], Tables, "Copy the row or panel to the clipboard"),
    entry(
        Command::LogLevel,
        "log-level",
        &[char('o')],
        Tables,
        "How important a logged line must be",
    )
    .takes("error, warn, info, debug or trace"),
    entry(Command::LogSources, "log-sources", &[char('O')], Tables, "Whose logged lines are shown")
        .takes("SOURCE"),
    entry(Command::Theme, "theme", &[char('t')], Program, "Next theme").takes("NAME"),
    entry(
        Command::Mouse,
        "mouse",
        &[char('m')],
        Program,
        "Leave the mouse to the terminal, or take it back",
    ),
    entry(
        Command::Meter,
        "meter",
        &[char('M')],
        Program,
        "What the dashboard itself costs, in place of the key bar",
    ),
    entry(
        Command::SaveScreen,
        "save-screen",
        &[Key::Ctrl('s')],
        Program,
        "Write this screen as text, as ANSI and as a picture",
    ),
    entry(
        Command::Back,
        "back",
        &[named(KeyCode::Esc)],
        Program,
        "Close what is open; never quits",
    ),
    entry(Command::Repaint, "repaint", &[Key::Ctrl('l')], Program, "Draw the whole screen again"),
    entry(
        Command::Suspend,
        "suspend",
        &[Key::Ctrl('z')],
        Program,
        "Back to the shell; the office goes on, fg returns",
    ),
    entry(
        Command::Interrupt,
        "interrupt",
        &[Key::Ctrl('c')],
        Program,
        "Once like q; twice end without asking; thrice at once",
    ),
];

/// Returns the line of a command.
///
/// # Panics
/// If the registry lacks it, which a test rules out.
pub(crate) fn entry_of(command: Command) -> &'static Entry {
    let found = REGISTRY.iter().find(|entry| entry.command == command);
    found.expect("every command is in the registry")
}

/// Returns the command of a name.
pub(crate) fn by_id(id: &str) -> Option<&'static Entry> {
    REGISTRY.iter().find(|entry| entry.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_command_is_documented_once_and_no_key_does_two_things() {
        let (mut keys, mut ids) = (HashSet::new(), HashSet::new());
        for entry in REGISTRY {
            assert!(entry.doc.len() < 60, "the help has no room: {}", entry.doc);
            let has_menu =
                matches!(entry.command, Command::Kill | Command::Halt | Command::Continue);
            assert!(!entry.doc.is_empty(), "{:?}", entry.command);
            assert!(!entry.keys.is_empty() || has_menu, "{:?}", entry.command);
            assert!(ids.insert(entry.id), "{} is there twice", entry.id);
            let is_kebab = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(entry.id.chars().all(is_kebab), "{}", entry.id);
            let same = |other: &&Entry| other.command == entry.command;
            assert_eq!(REGISTRY.iter().filter(same).count(), 1, "{:?}", entry.command);
            for key in entry.keys {
                assert!(keys.insert((entry.is_for_frozen, *key)), "{key} is taken");
                assert_eq!(Key::parse(&key.to_string()), Some(*key), "{key} can be written");
            }
        }
    }
}
