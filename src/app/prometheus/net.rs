//! What passes over the sockets, by role, and how fast users live.

use engine::net::message::NetTotals;

use super::exposition::{Exposition, Kind, Number};
use super::label;
use crate::app::net::NetRow;
use crate::app::tempo::{LoadRate, Pulse};

/// A family with one sample per role: kind, name, help, value.
type Family = (Kind, &'static str, &'static str, fn(&NetTotals) -> u64);

const FAMILIES: [Family; 11] = [
    (Kind::Gauge, "connections", "Connections now.", |net| net.connections),
    (Kind::Gauge, "silent_connections", "Connections whose peer has said nothing yet.", |net| {
        net.silent
    }),
    (Kind::Counter, "frames_read", "Frames read.", |net| net.frames_in),
    (Kind::Counter, "frames_queued", "Frames queued to be sent.", |net| net.frames_out),
    (Kind::Counter, "read_bytes", "Bytes read.", |net| net.bytes_in),
    (Kind::Counter, "written_bytes", "Bytes written.", |net| net.bytes_out),
    (
        Kind::Counter,
        "read_pauses",
        "Times that a peer was not read because it does not read.",
        |net| net.read_pauses,
    ),
    (Kind::Gauge, "outbox_bytes", "Bytes queued to be sent.", |net| net.outbox_bytes),
    (Kind::Gauge, "outbox_bytes_max", "The most of them at a time in one process.", |net| {
        net.outbox_bytes_max
    }),
    (Kind::Counter, "reconnects", "Lost connections to the issuer that were made again.", |net| {
        net.reconnects
    }),
    (Kind::Counter, "loop_turns", "Turns of the event loops.", |net| net.turns),
];

/// Writes what passed over the sockets of each role.
pub(super) fn net(out: &mut Exposition, rows: &[NetRow]) {
    for (kind, name, help, value) in FAMILIES {
        let samples = rows.iter().map(|row| (label("role", row.role), value(&row.totals)));
        out.family(kind, &format!("net_{name}"), help, samples);
    }
    let refused = rows.iter().flat_map(|row| {
        let reasons = row.totals.refused.all().into_iter();
        reasons.map(|(why, count)| {
            (vec![("role", row.role.to_owned()), ("reason", why.to_owned())], count)
        })
    });
    let help = "Peers that were refused or given up, by reason.";
    out.family(Kind::Counter, "net_refused_peers", help, refused);
}

/// Writes how fast users live.
pub(super) fn tempo(out: &mut Exposition, tempo: &Pulse) {
    let help = "How many times as fast as in the scenario users live; service keeps its time.";
    out.gauge("users_speed", help, Some(tempo.speed));
    let rates = |of: fn(&LoadRate) -> f64| {
        let of = move |rate: &LoadRate| (label("load", &*rate.name), Number::from(of(rate)));
        tempo.rates.iter().map(of)
    };
    let help = "Requests per second of an open load that are wanted now, at speed one.";
    out.family(Kind::Gauge, "load_rate_per_second", help, rates(|rate| rate.wanted));
    let help = "The same when the run began.";
    out.family(Kind::Gauge, "load_base_rate_per_second", help, rates(|rate| rate.base));
}
