//! `manifest.json`: what is in an export, and what is not.

use serde_json::{Value, json};

use super::place::Written;
use super::tickets::Gaps;
use crate::app::format;
use crate::app::state::{AppState, Phase};

/// Raised when a file or a key of an export changes its meaning.
const FORMAT_VERSION: u32 = 1;

/// What a file does not hold, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) file: &'static str,
    pub(super) what: String,
}

/// Returns the manifest of the files that were written.
pub(super) fn json(state: &AppState, files: &[Written], missing: &[Missing]) -> Value {
    let file = |file: &Written| {
        json!({
            "name": file.name,
            "bytes": file.bytes,
            "crc32": format!("{:08x}", file.crc),
            "holds": file.holds,
        })
    };
    json!({
        "format_version": FORMAT_VERSION,
        "program": "postoffice-tui",
        "version": env!("CARGO_PKG_VERSION"),
        "scenario": state.run.scenario,
        "seed": state.run.seed,
        "run": state.run.id_text(),
        "snapshot": state.number,
        "phase": state.phase.name(),
        "taken": format::iso(state.wall),
        "started": format::iso(state.run.started),
        "files": files.iter().map(file).collect::<Vec<_>>(),
        "left_out": (missing.iter())
            .map(|missing| json!({ "file": missing.file, "what": missing.what }))
            .collect::<Vec<_>>(),
    })
}

/// Says what is not there, and why.
pub(super) fn missing(state: &AppState, gaps: Gaps) -> Vec<Missing> {
    let mut missing = Vec::new();
    let mut say = |file, what: String| missing.push(Missing { file, what });
    if state.opened_at.is_none() {
        say("tickets.csv", "all rows: the doors did not open".to_owned());
    } else if !matches!(state.phase, Phase::Stopped(_)) {
        let what = "the run goes on: rows are of what the log held when it was read, which is a \
                    little after the snapshot";
        say("tickets.csv", what.to_owned());
    }
    if gaps.is_cut {
        let what = "tickets whose part of the log retention let go of; storage.retain=unlimited \
                    keeps all";
        say("tickets.csv", what.to_owned());
    }
    if gaps.lacks_notes {
        let what = "t_notify_ns, and rows of rejected requests: users note them only in a run \
                    that was started with --export";
        say("tickets.csv", what.to_owned());
    }
    if state.history.dropped() > 0 {
        let seconds = format::counted(state.history.dropped(), "second");
        say("series.csv", format!("the oldest {seconds}: there is room for about six hours"));
    }
    if state.metrics.is_empty() {
        let what = "all rows: metrics are off or compiled out".to_owned();
        say("metrics.csv", what);
    } else if state.metrics_dropped > 0 {
        let dropped = format::counted(state.metrics_dropped, "recording");
        say("metrics.csv", format!("{dropped} that found no room"));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::export::testing;
    use crate::app::history::Second;

    #[test]
    fn what_is_not_there_is_said() {
        let mut state = testing::state(5);
        let gaps = Gaps { is_cut: true, lacks_notes: true };
        let files = |state: &AppState, gaps| -> Vec<&'static str> {
            missing(state, gaps).iter().map(|missing| missing.file).collect()
        };
        let [tickets, metrics] = ["tickets.csv", "metrics.csv"];
        // The fixture's metrics found no room three times.
        assert_eq!(files(&state, gaps), [tickets, tickets, tickets, metrics]);
        state.phase = Phase::Stopped(crate::app::state::Ending::Completed);
        state.metrics_dropped = 0;
        assert!(files(&state, Gaps::default()).is_empty());
        for _ in 0..30_000 {
            state.history.push(Second::default());
        }
        assert_eq!(files(&state, Gaps::default()), ["series.csv"]);
        state.opened_at = None;
        assert_eq!(files(&state, Gaps::default()), [tickets, "series.csv"]);
    }
}
