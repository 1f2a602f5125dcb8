//! Screens of fixed offices at fixed sizes.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use proptest::prelude::*;

use super::*;
use crate::app::history::{History, Second};
use crate::app::state::{Phase, Severity};
use crate::ui::model::Pinned;
use crate::ui::past::Frozen;
use crate::ui::registry::Screen;
use crate::ui::testing;
use engine::clock::Time;
use engine::config::scenario::FsyncPolicy;

/// Returns a screen as text.
fn screen(ui: &UiState, app: &AppState, width: u16, height: u16) -> String {
    let mut ui = ui.clone();
    ui.area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(ui.area);
    draw(Scene { ui: &ui, app, live: app }, &mut buf);
    let rows = (0..height).map(|y| {
        let row: String = (0..width).map(|x| buf[(x, y)].symbol().to_owned()).collect();
        row.trim_end().to_owned()
    });
    rows.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_dashboard_at_every_size() {
    let (ui, app) = (testing::ui(), testing::measured());
    for (width, height) in [(160, 45), (120, 40), (80, 24), (50, 15), (20, 5), (10, 1)] {
        insta::assert_snapshot!(format!("dash_{width}x{height}"), screen(&ui, &app, width, height));
    }
}

#[test]
fn latencies_of_a_shorter_time_and_a_gap_that_makes_them_doubtful() {
    let (mut ui, mut app) = (testing::ui(), testing::measured());
    let title = |ui: &UiState, app: &AppState| {
        let screen = screen(ui, app, 120, 40);
        let line = screen.lines().find(|line| line.contains("─ Latency")).unwrap_or_default();
        line.rsplit("┌─ ").next().unwrap_or_default().trim_end_matches(['─', '┐', ' ']).to_owned()
    };
    assert_eq!(title(&ui, &app), "Latency of 6 000 tickets  Little's gap 0.4 %");
    ui.recent = Some(1);
    assert_eq!(title(&ui, &app), "Latency, last 10 s");
    ui.recent = Some(2);
    let empty = screen(&ui, &app, 120, 40);
    assert!(empty.contains("no ticket was served in this time"), "{empty}");
    ui.recent = None;
    let figures = Arc::make_mut(&mut app.figures);
    figures.all.little.as_mut().unwrap().gap = 0.031;
    assert_eq!(title(&ui, &app), "Latency  INSTRUMENT OFF BY 3.1 %");
}

#[test]
fn a_queue_that_grows_is_told_at_every_size_without_any_goal() {
    let (ui, mut app) = (testing::ui(), testing::measured());
    app.slos.clear();
    let calm = screen(&ui, &app, 160, 45);
    assert!(!calm.contains("grows") && !calm.contains("GROWS"), "{calm}");
    let mut history = History::default();
    let newest: Vec<Second> = app.history.iter().rev().take(31).cloned().collect();
    for (waiting, second) in (0..).step_by(10).zip(newest.into_iter().rev()) {
        history.push(Second { waiting, utilization: Some(0.99), ..second });
    }
    app.history = history;
    for (width, height, words) in [
        (160, 45, "the queue grows: 300 wait, 290 more than 30 s ago"),
        (120, 40, "the queue grows: 300 wait, 290 more"),
        (80, 24, "QUEUE GROWS"),
        (50, 15, "QUEUE GROWS"),
        (20, 5, "the queue grows: 30~"),
    ] {
        let screen = screen(&ui, &app, width, height);
        assert!(screen.contains(words), "{width}x{height}:\n{screen}");
    }
    app.phase = Phase::Paused;
    assert!(!screen(&ui, &app, 80, 24).contains("GROWS"), "what stands still does not grow");
}

/// Returns a display that is frozen so long ago, with snapshots of that time or without.
fn frozen(ago: Duration, has_tables: bool) -> (UiState, Arc<AppState>) {
    let (mut ui, live) = (testing::ui(), Arc::new(testing::measured()));
    if has_tables {
        let past = AppState { at: live.at - ago, ..testing::app() };
        ui.past.push(&AppState { wall: WallTime(live.wall.0 - nanos(ago)), ..past });
    }
    let mut frozen = Frozen::new(&live);
    frozen.look_at(live.at - ago, &ui.past);
    ui.frozen = Some(frozen);
    (ui, live)
}

#[test]
fn a_frozen_display_shows_another_moment_at_every_size() {
    let half = Duration::from_secs(30);
    for (name, has_tables) in [("scrubbed", true), ("scrubbed_without_tables", false)] {
        let (ui, live) = frozen(half, has_tables);
        for (width, height) in [(160, 45), (80, 24), (50, 15), (20, 5)] {
            let name = format!("{name}_{width}x{height}");
            insta::assert_snapshot!(name, screen(&ui, ui.shown(&live), width, height));
        }
    }
}

#[test]
fn the_perf_screen_compares_and_looks_back_at_every_size() {
    let (mut ui, live) = frozen(Duration::from_secs(300), false);
    (ui.screen, ui.window, ui.recent) = (Screen::Perf, 1, Some(2));
    ui.pinned = Some(Pinned { wall: live.wall, span: None, latencies: testing::app().latencies });
    for (width, height) in [(200, 60), (120, 40), (80, 24), (50, 15), (20, 5)] {
        let name = format!("perf_compared_{width}x{height}");
        insta::assert_snapshot!(name, screen(&ui, ui.shown(&live), width, height));
    }
}

#[test]
fn charts_are_zoomed_swept_and_drawn_in_ascii() {
    let (mut ui, app) = (testing::ui(), testing::measured());
    ui.set_zoomed(true);
    for (name, panel) in [
        ("throughput", Panel::Throughput),
        ("queue", Panel::Queue),
        ("latency", Panel::LatencyChart),
        ("log", Panel::LogChart),
        ("now", Panel::Now),
    ] {
        ui.set_focus(panel);
        for (width, height) in [(80, 24), (50, 15)] {
            let name = format!("chart_{name}_{width}x{height}");
            insta::assert_snapshot!(name, screen(&ui, &app, width, height));
        }
    }
    ui.set_focus(Panel::LatencyChart);
    (ui.is_sweeping, ui.window) = (true, 2);
    insta::assert_snapshot!("chart_latency_swept", screen(&ui, &app, 80, 24));
    ui.theme.is_utf8 = false;
    insta::assert_snapshot!("chart_latency_ascii", screen(&ui, &app, 80, 24));
}

#[test]
fn a_swept_chart_changes_fewer_cells_than_one_that_moves_on() {
    let changed = |is_sweeping| {
        let (mut ui, app) = (testing::ui(), testing::measured());
        ui.is_sweeping = is_sweeping;
        ui.set_zoomed(true);
        ui.set_focus(Panel::Queue);
        let later = AppState { at: app.at + Duration::from_secs(4), ..app.clone() };
        let [before, after] = [&app, &later].map(|app| screen(&ui, app, 80, 24));
        before.chars().zip(after.chars()).filter(|(a, b)| a != b).count()
    };
    assert!(changed(true) * 4 < changed(false), "{} {}", changed(true), changed(false));
}

#[test]
fn only_ascii_where_only_ascii_can_be_shown() {
    let (mut ui, app) = (testing::ui(), testing::app());
    ui.theme.is_utf8 = false;
    for (width, height) in [(160, 45), (80, 24), (50, 15), (20, 5)] {
        let screen = screen(&ui, &app, width, height);
        let odd: String = screen.chars().filter(|c| !c.is_ascii()).collect();
        assert_eq!(odd, "", "{width}x{height}");
    }
    insta::assert_snapshot!(screen(&ui, &app, 80, 24));
}

#[test]
fn every_screen_at_every_size() {
    let (mut ui, app) = (testing::with_log(), testing::measured());
    for screen in Screen::ALL.into_iter().filter(|screen| *screen != Screen::Dash) {
        ui.screen = screen;
        for (width, height) in [(160, 45), (80, 24), (50, 15)] {
            let name = format!("{}_{width}x{height}", screen.name().to_lowercase());
            insta::assert_snapshot!(name, self::screen(&ui, &app, width, height));
        }
    }
}

#[test]
fn screens_of_tables_at_other_sizes() {
    let (mut ui, app) = (testing::with_log(), testing::measured());
    for screen in
        [Screen::Procs, Screen::Store, Screen::Net, Screen::Sys, Screen::Logs, Screen::Conf]
    {
        ui.screen = screen;
        for (width, height) in [(200, 60), (120, 40), (20, 5)] {
            let name = format!("{}_{width}x{height}", screen.name().to_lowercase());
            insta::assert_snapshot!(name, self::screen(&ui, &app, width, height));
        }
    }
}

#[test]
fn panels_that_are_not_shown_at_first() {
    let (mut ui, app) = (testing::with_log(), testing::measured());
    for (page, panel) in [
        (Screen::Procs, Panel::Services),
        (Screen::Store, Panel::Batches),
        (Screen::Store, Panel::Segments),
        (Screen::Net, Panel::Services),
        (Screen::Conf, Panel::Answers),
    ] {
        ui.screen = page;
        ui.set_focus(panel);
        let name = format!("{}_{panel:?}_80x24", page.name()).to_lowercase();
        insta::assert_snapshot!(name, screen(&ui, &app, 80, 24));
    }
}

#[test]
fn what_an_old_log_does_not_hold_is_told() {
    use crate::app::state::{Replay, View};
    let (mut ui, mut app) = (testing::ui(), testing::starting());
    app.phase = Phase::Running;
    app.view = View::Replay(Replay {
        number: 1,
        runs: 1,
        from: Time(0),
        until: Time(9),
        at: Time(5),
        is_playing: false,
        speed_milli: 1_000,
        is_following: false,
        gaps: Vec::new(),
    });
    (app.sys, app.net, app.conf) = (None, Arc::default(), Arc::default());
    (app.seats.staffed, app.workers, app.users) = Default::default();
    for page in [Screen::Procs, Screen::Net, Screen::Sys, Screen::Conf] {
        ui.screen = page;
        let screen = screen(&ui, &app, 80, 24);
        assert!(screen.contains("the log of a run does not hold this"), "{page:?}:\n{screen}");
    }
    ui.screen = Screen::Logs;
    assert!(screen(&ui, &app, 80, 24).contains("holds tickets, no lines"));
    (ui.screen, app.store.segments) = (Screen::Store, 1);
    let store = screen(&ui, &app, 120, 40);
    assert!(store.contains("LMDB       the log of a run does not hold this"), "{store}");
    assert!(!store.contains("sync yet") && store.contains("seats 0/–"), "{store}");
    assert!(store.contains("workers –  users –"), "{store}");
}

#[test]
fn a_frozen_log_ends_at_its_moment_and_what_is_searched_is_seen() {
    let (mut ui, app) = (testing::with_log(), testing::measured());
    ui.screen = Screen::Logs;
    let app = Arc::new(app);
    let has = |ui: &UiState, text: &str| screen(ui, ui.shown(&app), 80, 24).contains(text);
    assert!(has(&ui, "users=140"), "what is newer than the last snapshot is shown");
    ui.key(KeyEvent::from(KeyCode::Char('f')), &app, Time(0));
    assert!(!has(&ui, "users=140") && has(&ui, "a sync was slow"));
    ui.key(KeyEvent::from(KeyCode::Char('f')), &app, Time(0));
    for key in "/crash\n".chars().chain(['N']) {
        let code = if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) };
        ui.key(KeyEvent::from(code), &app, Time(0));
    }
    assert_eq!(ui.arrangement(Panel::Logs).selected.as_deref(), Some("2"));
    assert!(has(&ui, "users=140"), "a search hides nothing");
    assert!(has(&ui, "stopped, G follows"));
    insta::assert_snapshot!("logs_searched", screen(&ui, &app, 80, 24));
}

#[test]
fn what_lies_over_the_dashboard() {
    let app = Arc::new(testing::app());
    let after = |keys: &str| {
        let mut ui = testing::ui();
        for char in keys.chars() {
            let code = if char == '\n' { KeyCode::Enter } else { KeyCode::Char(char) };
            ui.key(KeyEvent::from(code), &app, Time(0));
        }
        screen(&ui, &app, 80, 24)
    };
    for (name, keys) in [
        ("confirm", "jjKK"),
        ("signals_menu", "jjK"),
        ("chaos_menu", "x"),
        ("fsync_menu", "F"),
        ("block_menu", "b"),
        ("set_prompt", ":set office.room\n"),
        ("set_refused", ":set office.room\nx\n"),
        ("log_levels", "o"),
        ("help", "?"),
        ("palette", ":work"),
        ("prompt", "u12x\n"),
        ("sort_menu", "s"),
        ("detail", "jj\n"),
        ("filtered", "/worker\n "),
        ("frozen", "f"),
    ] {
        insta::assert_snapshot!(name, after(keys));
    }
    let mut ui = testing::ui();
    ui.say(Severity::Warning, "the run is ending", Time(0));
    ui.say(Severity::Info, "users=140", Time(0));
    ui.set_zoomed(true);
    insta::assert_snapshot!("zoomed_with_toasts", screen(&ui, &app, 80, 24));
    ui.set_zoomed(false);
    ui.say(Severity::Info, "service letters blocked", Time(0));
    let tiny = screen(&ui, &app, 20, 5);
    assert_eq!(tiny.lines().filter(|line| line.contains('│')).count(), 1, "{tiny}");
    assert!(tiny.contains("│ service letters~ │"), "{tiny}");
}

#[test]
fn phases_are_told() {
    let (ui, mut app) = (testing::ui(), testing::app());
    app.phase = Phase::Draining { open: 37 };
    insta::assert_snapshot!("draining", screen(&ui, &app, 80, 24));
    app.store.trouble = Some(format!(
        "cannot write {}/log/next.tmp: No space left on device (os error 28); \
         check the disk's room and permissions",
        app.run.data_dir
    ));
    (app.phase, app.store.is_blocked) = (Phase::Running, true);
    insta::assert_snapshot!("disk_full", screen(&ui, &app, 80, 24));
    let starting = testing::starting();
    insta::assert_snapshot!("starting", screen(&ui, &starting, 80, 24));
    let checking = AppState { phase: Phase::Recovering(None), ..starting };
    insta::assert_snapshot!("checking_the_index", screen(&ui, &checking, 80, 24));
}

#[test]
fn what_is_wrong_with_the_disk_stands_in_the_header_at_any_width() {
    let (ui, mut app) = (testing::ui(), testing::app());
    let error = |what: &str, why: &str| {
        Some(format!("cannot {what} {}/log/next.tmp: {why} (os error 5)", app.run.data_dir))
    };
    let (full, broken) =
        (error("write", "No space left on device"), error("sync", "Input/output error"));
    let behind = error("write", "Disk quota exceeded");
    let mut check = |line: &str, change: &dyn Fn(&mut AppState)| {
        change(&mut app);
        for width in [80, 120, 160] {
            let screen = screen(&ui, &app, width, 40);
            let banner = screen.lines().nth(2).unwrap_or_default();
            assert!(banner.starts_with(line), "{width}: {banner}");
        }
    };
    check(" INDEX behind, tickets go on: cannot write log/next.tmp: Disk quota ex", &|app| {
        app.store.index_trouble.clone_from(&behind);
    });
    check(" DISK, little room left: cannot write log/next.tmp: No space left on device", &|app| {
        app.store.trouble.clone_from(&full);
    });
    check(" DISK, intake paused: cannot write log/next.tmp: No space left on device", &|app| {
        app.store.is_blocked = true;
    });
    check(" FAILED: cannot sync log/next.tmp: Input/output error (os error 5)", &|app| {
        app.failure.clone_from(&broken);
    });
}

#[test]
fn a_hurt_log_is_told_on_its_screen() {
    let mut ui = testing::ui();
    ui.screen = Screen::Store;
    let mut hurt = testing::app();
    hurt.store.recovery = Some(testing::hurt());
    hurt.store.index_trouble =
        Some("cannot write index/data.mdb: No space left on device".to_owned());
    hurt.failure = Some(format!(
        "cannot sync {}/log/0000000000001000.seg: Input/output error (os error 5)",
        hurt.run.data_dir
    ));
    for (width, height) in [(160, 45), (80, 24), (50, 15)] {
        let name = format!("store_hurt_{width}x{height}");
        insta::assert_snapshot!(name, screen(&ui, &hurt, width, height));
    }
}

#[test]
fn what_a_power_loss_takes_is_never_cut_short() {
    for policy in [
        FsyncPolicy::None,
        FsyncPolicy::EachBatch,
        FsyncPolicy::Every(8),
        FsyncPolicy::Interval(Duration::from_millis(50)),
    ] {
        let (fsync, takes) = (format!("{policy:?}"), policy.power_loss_takes());
        let (mut ui, mut app) = (testing::ui(), testing::app());
        ui.set_focus(Panel::Store);
        (app.run.fsync, app.run.power_loss_takes) = (fsync.clone(), takes);
        for (width, height) in [(160, 45), (120, 40), (80, 24)] {
            let screen = screen(&ui, &app, width, height);
            let is_whole = |line: &str| line.contains("│power loss ") && line.contains(takes);
            assert!(screen.lines().any(is_whole), "{fsync} at {width}x{height}:\n{screen}");
        }
    }
}

/// Something that a person does to a terminal.
#[derive(Clone, Debug)]
enum Deed {
    Key(usize),
    Mouse(u16, u16, u8),
    Resize(u16, u16),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        8 => (0usize..200).prop_map(Deed::Key),
        2 => (0u16..300, 0u16..100, 0u8..5).prop_map(|(x, y, what)| Deed::Mouse(x, y, what)),
        1 => (0u16..300, 0u16..100).prop_map(|(width, height)| Deed::Resize(width, height)),
    ];
    prop::collection::vec(deed, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_that_people_do_breaks_the_screen(deeds in deeds(), is_starting: bool) {
        let app = Arc::new(if is_starting { testing::starting() } else { testing::measured() });
        let mut ui = testing::ui();
        for deed in deeds {
            match deed {
                Deed::Key(number) => drop(ui.key(testing::key(number), &app, Time(1))),
                Deed::Mouse(column, row, what) => {
                    let kind = match what {
                        0 => MouseEventKind::ScrollDown,
                        1 => MouseEventKind::ScrollUp,
                        2 => MouseEventKind::Drag(MouseButton::Left),
                        3 => MouseEventKind::Up(MouseButton::Left),
                        _ => MouseEventKind::Down(MouseButton::Left),
                    };
                    let modifiers = KeyModifiers::NONE;
                    drop(ui.mouse(MouseEvent { kind, column, row, modifiers }, &app, Time(1)));
                }
                Deed::Resize(width, height) => ui.area = Rect::new(0, 0, width, height),
            }
            let mut buf = Buffer::empty(ui.area);
            draw(Scene { ui: &ui, app: ui.shown(&app), live: &app }, &mut buf);
        }
    }
}
