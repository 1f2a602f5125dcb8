//! Goals of the run: how they are doing, in the header, in figures and as alerts.

use std::time::Duration;

use super::Pieces;
use crate::app::format;
use crate::app::slo::{SloRow, SloValue, Verdict};
use crate::app::state::{AppState, RECENT_SPANS};
use crate::ui::theme::Tone;
use crate::ui::view::Scene;

/// Returns the figure and the latency of a metric such as `p99(wait)`.
pub(crate) fn parts(metric: &str) -> Option<(&str, &str)> {
    let (figure, rest) = metric.split_once('(')?;
    Some((figure.trim(), rest.strip_suffix(')')?.trim()))
}

/// Returns how a verdict looks.
pub(crate) fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Unknown => Tone::Quiet,
        Verdict::Met => Tone::Good,
        Verdict::Missed => Tone::Bad,
    }
}

/// Returns how a percentile of a latency does by the goals; `Plain` if there is none about it. Of
/// the run and of the last ten seconds the verdict counts, else the figure itself.
pub(crate) fn tone_of(scene: Scene<'_>, figure: &str, latency: &str, value: Duration) -> Tone {
    let about = |row: &&SloRow| parts(&row.metric) == Some((figure, latency));
    let Some(row) = scene.app.slos.iter().find(about) else { return Tone::Plain };
    match (scene.ui.recent.map(|span| RECENT_SPANS[span]), row.limit) {
        (None, _) => tone(row.verdict),
        (Some(10), _) => tone(row.alert),
        (_, SloValue::Span(limit)) if value.as_secs_f64() < limit => Tone::Good,
        (_, SloValue::Span(_)) => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// Returns what the header says: the worst of the verdicts, and which goal it is.
pub(crate) fn pieces(app: &AppState) -> Pieces {
    let count = |verdict| app.slos.iter().filter(|row| row.verdict == verdict).count();
    let all = app.slos.len();
    if all == 0 {
        return Pieces::new();
    }
    let (text, tone) = match (count(Verdict::Missed), count(Verdict::Met)) {
        (0, met) if met == all => ("OK".to_owned(), Tone::Good),
        (0, met) => (format!("{met}/{all} met"), Tone::Quiet),
        (missed, _) => (format!("{missed}/{all} MISSED"), Tone::Bad),
    };
    vec![("  SLO ".to_owned(), Tone::Quiet), (text, tone)]
}

/// Returns a line for each goal that is missed now, newest first, and how it should look.
pub(crate) fn alerts(app: &AppState) -> Vec<(String, Tone)> {
    let mut missed: Vec<&SloRow> =
        app.slos.iter().filter(|row| row.alert == Verdict::Missed).collect();
    missed.sort_by_key(|row| std::cmp::Reverse(row.since));
    missed.into_iter().map(|row| (alert(row, app), Tone::Bad)).collect()
}

/// Says how a goal is missed in the last ten seconds, and, as something else, how it does over the
/// whole run, which is what the header and the run's end go by.
fn alert(row: &SloRow, app: &AppState) -> String {
    let text =
        |value: Option<SloValue>| value.map_or_else(|| format::ABSENT.to_owned(), SloValue::text);
    let limit = row.text.strip_prefix(&row.metric).unwrap_or(&row.text).trim_start();
    let since = match row.since {
        Some(since) => format!(" for {}", format::duration(app.at.since(since))),
        None => String::new(),
    };
    // A percentile of the served says nothing of those who were turned away.
    let who = match (row.recent, row.limit) {
        (Some(SloValue::Span(recent)), SloValue::Span(limit)) if recent < limit => {
            " (who got no ticket misses it too)"
        }
        _ => "",
    };
    let verdict = match row.verdict {
        Verdict::Unknown => "not known yet",
        verdict => verdict.name(),
    };
    format!(
        "{} {} in last 10 s, goal {limit}: missed{since}{who}; whole run {}: {verdict}",
        row.metric,
        text(row.recent),
        text(row.value),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::model::UiState;
    use crate::ui::testing;
    use engine::clock::Time;

    fn row(metric: &str, limit: f64, verdict: Verdict) -> SloRow {
        SloRow {
            name: "quick".to_owned(),
            text: format!("{metric} < {limit}s"),
            metric: metric.to_owned(),
            value: None,
            limit: SloValue::Span(limit),
            attainment: None,
            verdict,
            recent: Some(SloValue::Span(limit * 2.0)),
            alert: verdict,
            since: Some(Time(1_753_500_000_000)),
        }
    }

    #[test]
    fn a_metric_has_a_figure_and_a_latency() {
        assert_eq!(parts("p99(wait)"), Some(("p99", "wait")));
        assert_eq!(parts(" p99 ( wait )"), Some(("p99", "wait")));
        assert_eq!(parts("rejected"), None);
        assert_eq!(parts("p99(wait"), None);
    }

    #[test]
    fn the_worst_verdict_is_told_and_what_is_missed_is_an_alert() {
        let mut app = testing::app();
        app.slos.clear();
        let said = |app: &AppState| pieces(app).last().cloned();
        assert_eq!(said(&app), None, "no goals, no word");
        app.slos = vec![row("p99(wait)", 0.05, Verdict::Met)];
        assert_eq!(said(&app), Some(("OK".to_owned(), Tone::Good)));
        app.slos.push(row("p50(wait)", 0.01, Verdict::Unknown));
        assert_eq!(said(&app), Some(("1/2 met".to_owned(), Tone::Quiet)));
        assert!(alerts(&app).is_empty());
        app.slos.push(row("p99(sojourn)", 0.1, Verdict::Missed));
        assert_eq!(said(&app), Some(("1/3 MISSED".to_owned(), Tone::Bad)));
        let told = |app: &AppState| alerts(app).pop().map(|(text, _)| text);
        let begin = "p99(sojourn) 200ms in last 10 s, goal < 0.1s: missed for 10.0s";
        assert_eq!(told(&app), Some(format!("{begin}; whole run –: missed")));
        // The two spans are told apart.
        let last = app.slos.last_mut().unwrap();
        (last.verdict, last.value) = (Verdict::Met, Some(SloValue::Span(0.09)));
        assert_eq!(told(&app), Some(format!("{begin}; whole run 90.0ms: met")));
        app.slos.last_mut().unwrap().recent = Some(SloValue::Span(0.02));
        assert!(told(&app).is_some_and(|text| text.contains("who got no ticket misses it too")));
    }

    #[test]
    fn a_percentile_is_coloured_by_its_goal() {
        let (mut ui, mut app) = (testing::ui(), testing::app());
        app.slos = vec![row("p99(wait)", 0.05, Verdict::Missed)];
        app.slos[0].alert = Verdict::Met;
        let check = |ui: &UiState, figure, ms| {
            tone_of(testing::scene(ui, &app), figure, "wait", Duration::from_millis(ms))
        };
        assert_eq!(check(&ui, "p99", 49), Tone::Bad, "the run's verdict counts who was rejected");
        assert_eq!(check(&ui, "p50", 900), Tone::Plain);
        ui.recent = Some(0);
        assert_eq!((check(&ui, "p99", 49), check(&ui, "p99", 50)), (Tone::Good, Tone::Bad));
        ui.recent = Some(1);
        assert_eq!(check(&ui, "p99", 50), Tone::Good);
    }
}
