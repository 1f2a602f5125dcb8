//! A snapshot as one JSON object: what the summary says, and what is true at this moment.

use engine::clock::nanos;
use engine::perf::Spread;
use serde_json::{Value, json};

use super::state::{AppState, LatencyFigures, Level, NetRow, ProcessRow, RECENT_SPANS};
use super::summary::Summary;
use super::tempo::LoadRate;

/// Returns all figures of a snapshot. Keys are those of the summary; what only a running office
/// has stands behind them.
pub(crate) fn json(state: &AppState) -> Value {
    let mut json = Summary::new(std::sync::Arc::new(state.clone())).to_json();
    let deviations = state.settings.deviations();
    let (totals, rates) = (&state.totals, &state.rates);
    let present = json!({
        "state": state.phase.name(),
        "wall_ns": state.wall.0,
        "population": level(state.users),
        "workers": level(state.workers),
        "seats": { "busy": state.seats.busy, "staffed": state.seats.staffed },
        "totals": {
            "offered": totals.offered,
            "issued": totals.issued,
            "rejected": totals.rejected,
            "served": totals.served,
            "failed": totals.failed,
            "waiting": totals.waiting,
            "in_service": totals.in_service,
            "recovered": totals.recovered,
            "redelivered": totals.redelivered,
            "dropped": totals.dropped,
            "bad_peers": totals.bad_peers,
        },
        "rates": {
            "offered_per_s": rates.offered,
            "served_per_s": rates.served,
            "rejected_per_s": rates.rejected,
            "utilization": rates.utilization,
        },
        "recent": recent(state),
        "processes": state.processes.iter().map(process).collect::<Vec<_>>(),
        "speed": state.settings.tempo.speed,
        "loads": state.settings.tempo.rates.iter().map(load).collect::<Vec<_>>(),
        "net": state.net.iter().map(net).collect::<Vec<_>>(),
        "deviations": deviations.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "failure": state.failure,
    });
    if let (Value::Object(json), Value::Object(mut present)) = (&mut json, present) {
        json.append(&mut present);
    }
    json
}

fn level(level: Level) -> Value {
    json!({ "actual": level.actual, "target": level.target })
}

/// Returns the latencies of the last seconds, as far as there are any.
fn recent(state: &AppState) -> Vec<Value> {
    let rows = state.latencies.iter();
    rows.flat_map(|row| {
        RECENT_SPANS.iter().zip(&row.recent).filter_map(|(&seconds, figures)| {
            let LatencyFigures { count, spread, .. } = *figures;
            let Spread { mean, p50, p90, p99, p999, max } = spread?;
            Some(json!({
                "latency": row.name,
                "window_s": seconds,
                "count": count,
                "mean_ns": nanos(mean),
                "p50_ns": nanos(p50),
                "p90_ns": nanos(p90),
                "p99_ns": nanos(p99),
                "p999_ns": nanos(p999),
                "max_ns": nanos(max),
            }))
        })
    })
    .collect()
}

fn load(rate: &LoadRate) -> Value {
    json!({
        "load": rate.name,
        "model": rate.model,
        "per_s": rate.wanted,
        "base_per_s": rate.base,
    })
}

fn net(row: &NetRow) -> Value {
    let NetRow { role, processes, totals, rates } = row;
    let refused =
        totals.refused.all().into_iter().map(|(why, count)| (why.to_owned(), count.into()));
    json!({
        "role": role,
        "processes": processes,
        "connections": totals.connections,
        "silent": totals.silent,
        "frames_in": totals.frames_in,
        "frames_out": totals.frames_out,
        "bytes_in": totals.bytes_in,
        "bytes_out": totals.bytes_out,
        "frames_in_per_s": rates.map(|rates| rates.frames_in),
        "frames_out_per_s": rates.map(|rates| rates.frames_out),
        "bytes_in_per_s": rates.map(|rates| rates.bytes_in),
        "bytes_out_per_s": rates.map(|rates| rates.bytes_out),
        "read_pauses": totals.read_pauses,
        "outbox_bytes": totals.outbox_bytes,
        "outbox_bytes_max": totals.outbox_bytes_max,
        "reconnects": totals.reconnects,
        "refused": Value::Object(refused.collect()),
        "turns": totals.turns,
        "turns_per_s": rates.map(|rates| rates.turns),
        "frames_per_turn": rates.and_then(|rates| rates.frames_per_turn),
    })
}

fn process(row: &ProcessRow) -> Value {
    json!({
        "role": row.id.role(),
        "id": row.id.number(),
        "pid": row.pid,
        "state": row.state.name(),
        "cpu": row.cpu,
        "rss_bytes": row.rss_bytes,
        "restarts": row.restarts,
        "tickets": row.tickets,
        "hosts": row.hosts,
        "note": row.note,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing;

    #[test]
    fn a_sample_is_the_summary_and_what_is_true_now() {
        let state = testing::measured();
        let sample = json(&state);
        let summary = Summary::new(std::sync::Arc::new(state)).to_json();
        for (key, value) in summary.as_object().unwrap() {
            assert_eq!(sample[key], *value, "{key} is what the summary says");
        }
        assert_eq!(sample["totals"]["waiting"], 37);
        assert_eq!(sample["processes"].as_array().unwrap().len(), 47);
        assert_eq!(sample["loads"][0]["per_s"], 160.0);
        let issuer = &sample["net"][1];
        assert_eq!(
            (&issuer["role"], &issuer["refused"]["bad_token"]),
            (&json!("issuer"), &json!(2))
        );
        let recent = sample["recent"].as_array().unwrap();
        assert_eq!(recent.len(), 12, "a minute has none here");
        let first = (&recent[0]["latency"], &recent[0]["window_s"], &recent[0]["p99_ns"]);
        assert_eq!(first, (&json!("wait"), &json!(1), &json!(1_350_000)));
    }
}
