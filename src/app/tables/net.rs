//! What passes over the sockets, and how fast users live.

use super::{Cell, Table, columns};
use crate::app::net::{NetRates, NetRow};
use crate::app::state::AppState;

/// One row per role: connections, traffic and what went wrong.
pub(super) fn net(state: &AppState) -> Table {
    let names = [
        ("role", "role"),
        ("processes", "processes"),
        ("connections", "connections"),
        ("silent", "silent"),
        ("frames_in", "frames in"),
        ("frames_out", "frames out"),
        ("bytes_in", "bytes in"),
        ("bytes_out", "bytes out"),
        ("frames_in_per_s", "frames in /s"),
        ("frames_out_per_s", "frames out /s"),
        ("bytes_in_per_s", "bytes in /s"),
        ("bytes_out_per_s", "bytes out /s"),
        ("read_pauses", "reading paused"),
        ("outbox_bytes", "queued"),
        ("outbox_bytes_max", "queued at most"),
        ("reconnects", "reconnects"),
        ("refused", "refused"),
        ("refused_why", "why"),
        ("turns", "turns"),
        ("turns_per_s", "turns /s"),
        ("frames_per_turn", "frames per turn"),
    ];
    let rows = state.net.iter().map(row).collect();
    Table { name: "net", title: "Connections by role", rows, columns: columns(&names) }
}

fn row(row: &NetRow) -> Vec<Cell> {
    let (totals, refused) = (&row.totals, &row.totals.refused);
    let rate = |of: fn(&NetRates) -> f64| Cell::or(row.rates.as_ref().map(of), Cell::Rate);
    let reasons = refused.all().into_iter().filter(|(_, count)| *count > 0);
    let reasons: Vec<String> = reasons.map(|(why, count)| format!("{why} {count}")).collect();
    vec![
        Cell::words(row.role),
        Cell::Count(row.processes.into()),
        Cell::Count(totals.connections),
        Cell::Count(totals.silent),
        Cell::Count(totals.frames_in),
        Cell::Count(totals.frames_out),
        Cell::Bytes(totals.bytes_in),
        Cell::Bytes(totals.bytes_out),
        rate(|rates| rates.frames_in),
        rate(|rates| rates.frames_out),
        rate(|rates| rates.bytes_in),
        rate(|rates| rates.bytes_out),
        Cell::Count(totals.read_pauses),
        Cell::Bytes(totals.outbox_bytes),
        Cell::Bytes(totals.outbox_bytes_max),
        Cell::Count(totals.reconnects),
        Cell::Count(refused.sum()),
        Cell::words(reasons.join(", ")),
        Cell::Count(totals.turns),
        rate(|rates| rates.turns),
        Cell::or(row.rates.and_then(|rates| rates.frames_per_turn), Cell::Real),
    ]
}

/// One row per open load: its rate.
pub(super) fn loads(state: &AppState) -> Table {
    let names = [
        ("load", "load"),
        ("model", "model"),
        ("per_s", "rate /s"),
        ("base_per_s", "at the start /s"),
        ("speed", "speed"),
    ];
    let tempo = &state.settings.tempo;
    let rows = tempo.rates.iter().map(|rate| {
        vec![
            Cell::words(&rate.name),
            Cell::words(rate.model),
            Cell::Rate(rate.wanted),
            Cell::Rate(rate.base),
            Cell::Real(tempo.speed),
        ]
    });
    let title = "Open loads; at a speed other than one all users live faster or slower";
    Table { name: "loads", title, rows: rows.collect(), columns: columns(&names) }
}
