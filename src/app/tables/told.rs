//! What people were told: events and notices.

use super::{Cell, Table, columns};
use crate::app::format;
use crate::app::state::AppState;

/// What happened, oldest first; numbers that are missing at the start are no longer kept.
pub(super) fn events(state: &AppState) -> Table {
    let opened = state.opened_at;
    let rows = state.events.iter().map(|event| {
        let since = opened.filter(|&opened| opened <= event.at);
        vec![
            Cell::Count(event.number),
            Cell::words(format::iso(event.wall)),
            Cell::or(since, |opened| Cell::Span(event.at.since(opened))),
            Cell::words(event.severity.name()),
            Cell::words(event.who.name()),
            Cell::words(&event.label),
            Cell::words(&event.text),
        ]
    });
    Table {
        name: "events",
        title: "What people did, and what happened",
        columns: columns(&[
            ("number", "no."),
            ("wall", "when"),
            ("since_open_ns", "since the doors opened"),
            ("severity", "severity"),
            ("who", "who"),
            ("label", "mark"),
            ("text", "what"),
        ]),
        rows: rows.collect(),
    }
}

/// What people were told last and should not overlook.
pub(super) fn notices(state: &AppState) -> Table {
    let rows = state.notices.iter().map(|notice| {
        vec![
            Cell::words(format::iso(notice.wall)),
            Cell::words(notice.severity.name()),
            Cell::words(&notice.text),
        ]
    });
    Table {
        name: "notices",
        title: "What people were told last",
        columns: columns(&[("wall", "when"), ("severity", "severity"), ("text", "what")]),
        rows: rows.collect(),
    }
}
