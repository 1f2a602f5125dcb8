//! What passes over the sockets of each role, and where somebody does not keep up.

use super::{Pieces, overlays::wrap};
use crate::app::format::{self, ABSENT};
use crate::app::net::{NetRates, NetRow};
use crate::ui::theme::Tone;
use crate::ui::view::Scene;
use crate::ui::widgets::table::{Cell, Column, Row, Table};

const COLUMNS: [Column; 14] = [
    Column::word("role", 13, 0),
    Column::number("procs", 5, 8),
    Column::number("links", 5, 0),
    Column::number("frames in", 9, 1),
    Column::number("frames out", 10, 2),
    Column::number("bytes in", 8, 0),
    Column::number("bytes out", 9, 0),
    Column::number("turns", 6, 4),
    Column::number("in a turn", 9, 9),
    Column::number("queued", 8, 3),
    Column::number("at most", 8, 6),
    Column::number("paused", 7, 5),
    Column::number("redials", 7, 10),
    Column::number("refused", 7, 7),
];

/// Cells for the names of lines.
const NAME_WIDTH: usize = 11;

/// Returns a row per role; a row's key is the role's name.
pub(crate) fn table(scene: Scene<'_>) -> Table {
    let row = |row: &NetRow| Row { key: row.role.to_owned(), cells: cells(row) };
    let empty = scene.reason("the first second is being measured").into();
    Table { columns: &COLUMNS, rows: scene.app.net.iter().map(row).collect(), empty }
}

fn cells(row: &NetRow) -> Vec<Cell> {
    let totals = &row.totals;
    let rate = |of: fn(&NetRates) -> f64| {
        row.rates.as_ref().map_or_else(Cell::absent, |rates| Cell::rate(of(rates)))
    };
    let per_second = |of: fn(&NetRates) -> f64| {
        let rate = row.rates.as_ref().map(of);
        // Which time they are of stands in the head.
        let text = |rate| format::byte_rate(rate).trim_end_matches("/s").to_owned();
        rate.map_or_else(Cell::absent, |rate| Cell::plain(text(rate)).by(rate))
    };
    let odd = |count: u64| {
        let tone = if count > 0 { Tone::Warning } else { Tone::Quiet };
        Cell::count(count).tone(tone)
    };
    let frames = row.rates.as_ref().and_then(|rates| rates.frames_per_turn);
    vec![
        Cell::plain(row.role),
        Cell::count(u64::from(row.processes)),
        Cell::count(totals.connections),
        rate(|rates| rates.frames_in),
        rate(|rates| rates.frames_out),
        per_second(|rates| rates.bytes_in),
        per_second(|rates| rates.bytes_out),
        rate(|rates| rates.turns),
        frames.map_or_else(Cell::absent, Cell::rate),
        Cell::bytes(totals.outbox_bytes),
        Cell::bytes(totals.outbox_bytes_max),
        odd(totals.read_pauses),
        odd(totals.reconnects),
        odd(totals.refused.sum()),
    ]
}

/// Returns all that is known about a role.
pub(crate) fn detail(scene: Scene<'_>, key: &str) -> Option<Vec<(String, String)>> {
    let row = scene.app.net.iter().find(|row| row.role == key)?;
    let totals = &row.totals;
    let rate = |of: fn(&NetRates) -> f64| {
        row.rates.as_ref().map_or_else(|| ABSENT.to_owned(), |rates| format::rate(of(rates)))
    };
    let flow = |frames: u64, sum: u64, rate: String| {
        format!("{} frames, {}; {rate} frames/s now", format::count(frames), format::bytes(sum))
    };
    let line = |name: &str, value: String| (name.to_owned(), value);
    let (most, queued) = (format::bytes(totals.outbox_bytes_max), totals.outbox_bytes);
    let mut lines = vec![
        line("processes", format::count(u64::from(row.processes))),
        line(
            "connections",
            format!("{}, {} without a word yet", format::count(totals.connections), totals.silent),
        ),
        line("read", flow(totals.frames_in, totals.bytes_in, rate(|rates| rates.frames_in))),
        line("written", flow(totals.frames_out, totals.bytes_out, rate(|rates| rates.frames_out))),
        line("queued", format!("{} now, {most} at most in one process", format::bytes(queued))),
        line(
            "paused",
            format!("{} times a peer that does not read was not read", totals.read_pauses),
        ),
        line("reconnects", format::count(totals.reconnects)),
        line(
            "epoll",
            format!("{} turns, {}/s now", format::count(totals.turns), rate(|rates| rates.turns)),
        ),
    ];
    let refused = totals.refused.all().into_iter().filter(|(_, count)| *count > 0);
    lines.extend(refused.map(|(why, count)| line("refused", format!("{count} {why}"))));
    Some(lines)
}

/// Returns what passes over all sockets, and where somebody does not keep up.
pub(crate) fn totals(scene: Scene<'_>, width: u16) -> Vec<Pieces> {
    let rows = &scene.app.net;
    if rows.is_empty() {
        let text = scene.reason("the first second is being measured").to_owned();
        return vec![vec![(text, Tone::Quiet)]];
    }
    let sum = |of: fn(&NetRow) -> u64| rows.iter().map(of).sum::<u64>();
    let rate = |of: fn(&NetRates) -> f64| -> f64 {
        rows.iter().filter_map(|row| row.rates.as_ref()).map(of).sum()
    };
    // Each frame is read once and written once by somebody of ours.
    let traffic = format!(
        "{} frames/s, {} written; {} in {} since the start",
        format::rate(rate(|rates| rates.frames_out)),
        format::byte_rate(rate(|rates| rates.bytes_out)),
        format::counted(sum(|row| row.totals.frames_out), "frame"),
        format::bytes(sum(|row| row.totals.bytes_out)),
    );
    let turns = format!("{} turns/s of all event loops", format::rate(rate(|rates| rates.turns)));
    let (paused, queued) = (sum(|row| row.totals.read_pauses), sum(|row| row.totals.outbox_bytes));
    let pressure = match paused {
        0 => format!("nobody was waited for; {} queued", format::bytes(queued)),
        times => {
            let times = format::count(times);
            format!(
                "{times} times a peer that did not read was not read; {} queued",
                format::bytes(queued)
            )
        }
    };
    let refused: Vec<String> = rows
        .iter()
        .flat_map(|row| row.totals.refused.all())
        .filter(|(_, count)| *count > 0)
        .map(|(why, count)| format!("{count} {why}"))
        .collect();
    let (refused, tone) = if refused.is_empty() {
        ("no peer".to_owned(), Tone::Plain)
    } else {
        (refused.join(", "), Tone::Warning)
    };
    let pressed = if paused > 0 { Tone::Warning } else { Tone::Plain };
    let lines = [
        ("traffic", traffic, Tone::Plain),
        ("epoll", turns, Tone::Plain),
        ("pressure", pressure, pressed),
        ("refused", refused, tone),
    ];
    let room = usize::from(width).saturating_sub(NAME_WIDTH).max(12);
    let wrapped = lines.into_iter().flat_map(|(name, text, tone)| {
        let name = |at: usize| if at == 0 { name } else { "" };
        let pieces = wrap(&text, room).into_iter().enumerate();
        let piece =
            |(at, text)| vec![(format!("{:<NAME_WIDTH$}", name(at)), Tone::Quiet), (text, tone)];
        pieces.map(piece).collect::<Vec<Pieces>>()
    });
    wrapped.collect()
}
