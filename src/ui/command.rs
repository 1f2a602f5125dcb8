//! The commands by name: what a person can do, where it belongs, and what it may do to the office.
//! Their keys and words stand in [`super::registry`].

use super::screen::Screen;

/// Something that a person can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Command {
    Help,
    Palette,
    Quit,
    QuitNow,
    Interrupt,
    Suspend,
    Repaint,
    Back,
    PauseResume,
    Users,
    DrainUsers,
    Workers,
    Step,
    Signals,
    Kill,
    Restart,
    Halt,
    Continue,
    Chaos,
    Strike,
    Block,
    SlowIssuer,
    Speed,
    Rate,
    Fsync,
    SetKey,
    Reload,
    SaveConf,
    Undo,
    Export,
    ExportAgain,
    FindTicket,
    Screen(Screen),
    NextPanel,
    PreviousPanel,
    Zoom,
    Recent,
    WindowShorter,
    WindowLonger,
    WindowDefault,
    Freeze,
    ScrubBack,
    ScrubForward,
    LeapBack,
    LeapForward,
    NextRun,
    PreviousRun,
    EventBack,
    EventForward,
    Oldest,
    Live,
    Range,
    Sweep,
    Pin,
    Unpin,
    Acknowledge,
    Theme,
    Mouse,
    Meter,
    SaveScreen,
    Up,
    Down,
    HalfPageUp,
    HalfPageDown,
    PageUp,
    PageDown,
    First,
    Last,
    Open,
    Mark,
    Filter,
    NextMatch,
    PreviousMatch,
    Sort,
    SortReverse,
    SortLeft,
    SortRight,
    Copy,
    LogLevel,
    LogSources,
}

/// Where a command belongs in the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Run,
    Office,
    Time,
    Screens,
    Tables,
    Program,
}

impl Group {
    /// All groups, in the order of the help, with their titles.
    pub(crate) const ALL: [(Self, &'static str); 6] = [
        (Self::Run, "The run"),
        (Self::Office, "The office"),
        (Self::Time, "Time"),
        (Self::Screens, "Screens and panels"),
        (Self::Tables, "Rows and tables"),
        (Self::Program, "The dashboard"),
    ];

    /// Returns the word that `keys` prints.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(group, _)| *group == self).map_or("", |(_, title)| title)
    }
}

/// What a command may do to the office.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Risk {
    /// It changes only what is shown.
    Look,
    /// It changes the office.
    Change,
    /// It ends or kills something and is asked first.
    Destroy,
}

impl Risk {
    /// Returns the word that `keys` prints.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Change => "change",
            Self::Destroy => "destroy",
        }
    }
}
