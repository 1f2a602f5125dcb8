//! Charts of fixed offices.

use std::sync::Arc;

use super::*;

use crate::app::state::{Phase, Severity, Source};
use crate::ui::testing;

/// Returns what stands beside marks, and where: the cells of each and its words.
fn shown(marks: &[(u16, &str, Severity)], width: u16) -> Vec<(u16, String)> {
    let event = |&(cell, label, severity): &(u16, &str, Severity)| Happening {
        number: 1,
        at: Time(u64::from(cell)),
        wall: WallTime(0),
        severity,
        who: Source::Key,
        label: label.to_owned(),
        text: String::new(),
    };
    let events: Vec<Happening> = marks.iter().map(event).collect();
    let marks: Vec<(u16, &Happening)> = marks.iter().map(|(cell, ..)| *cell).zip(&events).collect();
    let mut free = 0;
    let place = |label: Label<'_>| {
        let cells = label.cells(width, free)?;
        free = cells.end;
        Some((cells.start, label.text()))
    };
    labels(&marks).into_iter().filter_map(place).collect()
}

#[test]
fn words_that_would_hide_each_other_are_joined_and_counted() {
    use Severity::{Info, Warning};
    let owned = |at, text: &str| (at, text.to_owned());
    let apart = shown(&[(2, "pause", Info), (9, "resume", Info)], 40);
    assert_eq!(apart, [owned(3, "pause"), owned(10, "resume")]);
    let joined = shown(&[(2, "pause", Info), (8, "resume", Info), (30, "kill", Info)], 40);
    assert_eq!(joined, [owned(3, "pause +1"), owned(31, "kill")]);
    let worst = shown(&[(2, "kill", Info), (5, "w3 died", Warning), (7, "x", Info)], 40);
    assert_eq!(worst, [owned(6, "w3 died +2")], "beside its own mark");
    assert_eq!(shown(&[(38, "w3 died", Info)], 40), [owned(31, "w3 died")], "no room right of it");
    let narrow = shown(&[(0, "pause", Info), (7, "w3 died", Info)], 12);
    assert_eq!(narrow, [owned(1, "pause")], "nor left of it");
}

#[test]
fn charts_of_a_paused_office_end_where_the_last_thing_happened() {
    let (ui, mut app) = (testing::ui(), testing::measured());
    (app.events, app.series) = Default::default();
    let second = Duration::from_secs(1);
    let paused = app.at;
    let edge = |app: &AppState| testing::scene(&ui, app).edge();
    app.at = paused + second * 100;
    assert_eq!(edge(&app), app.at, "it runs");
    (app.phase, app.pauses) = (Phase::Paused, vec![(paused, Time::NEVER)]);
    let still = edge(&app);
    assert!(paused < still && still < paused + second * 5);
    app.at = app.at + second * 100;
    assert_eq!(edge(&app), still, "time does not pass for it");
    let served = paused + second * 30;
    let sample =
        |in_service| Sample { at: served, offered: None, served: 0.0, waiting: 0, in_service };
    app.series = Arc::new(vec![sample(0)]);
    assert_eq!(edge(&app), still);
    app.series = Arc::new(vec![sample(1)]);
    assert!(edge(&app) > served, "what was in service is still being served");
    app.phase = Phase::Running;
    assert_eq!(edge(&app), app.at);
}

#[test]
fn what_was_sampled_while_the_run_stood_still_leaves_a_gap() {
    let (ui, mut app) = (testing::ui(), testing::app());
    let newest = app.at;
    let pause = |from, to| (newest - Duration::from_secs(from), newest - Duration::from_secs(to));
    app.pauses = vec![pause(50, 40), pause(20, 10), (newest, Time::NEVER)];
    let known = values(testing::scene(&ui, &app), Measure::Waiting, Time::ZERO);
    let is_known = |ago| known.iter().any(|(at, _)| *at == newest - Duration::from_secs(ago));
    assert_eq!(
        [50, 45, 40, 39, 20, 19, 10, 9, 1, 0].map(is_known),
        [true, false, false, true, true, false, false, true, true, true]
    );
}

#[test]
fn times_below_a_chart_are_those_that_stand_there() {
    let (mut ui, app) = (testing::ui(), testing::app());
    let labels =
        ["-1m -30s now", "-5m -2m30s now", "-15m -7m30s now", "-1h -30m now", "-6h -3h now"];
    for (window, wanted) in labels.into_iter().enumerate() {
        ui.window = window;
        let scene = testing::scene(&ui, &app);
        let area = Rect::new(0, 0, 47, 2);
        let (plot, mut buf) = (plot_area(Chart::Queue, area), Buffer::empty(area));
        let axis = TimeAxis::new(scene.edge(), scene.window(), plot.width, false);
        draw_times(scene, axis, plot, area, &mut buf);
        let row: String = (0..area.width).map(|x| buf[(x, 1)].symbol().to_owned()).collect();
        assert_eq!(row.split_whitespace().collect::<Vec<_>>().join(" "), wanted);
        let middle = wanted.split(' ').nth(1).unwrap();
        let at = row.find(middle).unwrap() + middle.len() / 2;
        assert!(at.abs_diff(usize::from(plot.x + plot.width / 2)) <= 1, "{row}");
    }
}

#[test]
fn the_mouse_finds_the_moment_that_is_drawn_there() {
    let (ui, app) = (testing::ui(), testing::measured());
    let scene = testing::scene(&ui, &app);
    let area = Rect::new(3, 2, 40, 9);
    for chart in [Chart::Queue, Chart::Log] {
        let plot = plot_area(chart, area);
        assert_eq!(moment_at(chart, scene, area, plot.x - 1), None, "the axis");
        assert_eq!(moment_at(chart, scene, area, plot.right()), None, "{chart:?}");
        assert!(moment_at(chart, scene, area, plot.right() - 1) >= Some(app.at));
    }
    assert_eq!(plot_area(Chart::Log, area).right() + RIGHT_WIDTH, area.right());
}
