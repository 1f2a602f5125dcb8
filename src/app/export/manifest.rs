//! `manifest.json`: what is in an export, and what is not.

use serde_json::{Value, json};

use super::place::Written;
use super::tickets::Gaps;
use crate::app::format;
use crate::app::state::{AppState, Phase};

/// Raised when a file or a key of an export changes its meaning.
const FORMAT_VERSION: u32 = 1;

/// Returns the manifest of the files that were written.
pub(super) fn json(state: &AppState, files: &[Written], gaps: Gaps) -> Value {
    let file = |file: &Written| {
        json!({
            "name": file.name,
            "bytes": file.bytes,
            "crc32c": format!("{:08x}", file.crc),
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
        "left_out": left_out(state, gaps),
    })
}

/// Says what is not there, and why.
fn left_out(state: &AppState, gaps: Gaps) -> Vec<Value> {
    let mut left_out = Vec::new();
    let mut say = |file: &str, what: String| left_out.push(json!({ "file": file, "what": what }));
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
    left_out
}
