//! The pages of the dashboard, in the order of their keys: the same everywhere.

/// A page of the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Screen {
    Dash,
    Procs,
    Perf,
    Store,
    Net,
    Sys,
    Logs,
    Conf,
}

impl Screen {
    /// All screens, in the order of their keys.
    pub(crate) const ALL: [Self; 8] = [
        Self::Dash,
        Self::Procs,
        Self::Perf,
        Self::Store,
        Self::Net,
        Self::Sys,
        Self::Logs,
        Self::Conf,
    ];

    /// Returns the word on its tab.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dash => "Dash",
            Self::Procs => "Procs",
            Self::Perf => "Perf",
            Self::Store => "Store",
            Self::Net => "Net",
            Self::Sys => "Sys",
            Self::Logs => "Logs",
            Self::Conf => "Conf",
        }
    }

    /// Returns its place on the tabs, from zero.
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}
