//! Keys in, effects out.

use crossterm::event::{KeyCode, KeyModifiers};

use super::*;
use crate::app::state::{Attached, Ending, Happening, Source, Totals};
use crate::ui::layout::Panel;
use crate::ui::model::TOAST_TIME;
use crate::ui::registry::{REGISTRY, Screen};
use crate::ui::testing;

fn event(c: char) -> KeyEvent {
    match c {
        '\n' => KeyEvent::from(KeyCode::Enter),
        '\t' => KeyEvent::from(KeyCode::Tab),
        '\u{1b}' => KeyEvent::from(KeyCode::Esc),
        '\u{8}' => KeyEvent::from(KeyCode::Backspace),
        '\u{3}' => KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL),
        '\u{1a}' => KeyEvent::new(KeyCode::Char('z'), KeyModifiers::CONTROL),
        '\u{1f}' => KeyEvent::new(KeyCode::Char('_'), KeyModifiers::CONTROL),
        c => KeyEvent::from(KeyCode::Char(c)),
    }
}

fn press(ui: &mut UiState, app: &AppState, keys: &str) -> Vec<Effect> {
    let app = Arc::new(app.clone());
    keys.chars().flat_map(|c| ui.key(event(c), &app, Time(1))).collect()
}

fn check(keys: &str, effects: &[Effect]) {
    let (mut ui, app) = (testing::ui(), testing::app());
    assert_eq!(press(&mut ui, &app, keys), effects, "{keys:?}");
}

fn submit(action: Action) -> Effect {
    Effect::Submit(action)
}

#[test]
fn keys_become_actions() {
    check("p", &[submit(Action::Pause)]);
    check("u2000\n", &[submit(Action::SetUsers(2000))]);
    check("u+", &[submit(Action::SetUsers(140))]);
    check("u-", &[submit(Action::SetUsers(116))]);
    check("w12\u{8}\n", &[submit(Action::SetWorkers(1))]);
    check("D", &[submit(Action::SetUsers(0))]);
    check("iiii", &[]);
    check("u\n", &[]);
    check("u\u{1b}q", &[]);
    check("\u{1a}", &[Effect::Suspend]);
    check("e\n", &[Effect::Export(None)]);
    check("e/tmp/x\nE", &vec![Effect::Export(Some("/tmp/x".into())); 2]);
    check("e/tmp/x\ne\nE", &[Some("/tmp/x".into()), None, None].map(Effect::Export));
    check("T4711\n", &[Effect::FindTicket(4711)]);
}

#[test]
fn the_palette_does_what_keys_do() {
    check(":users 200\n", &[submit(Action::SetUsers(200))]);
    check(":workers +1\n", &[submit(Action::SetWorkers(5))]);
    check(":pau\n", &[submit(Action::Pause)]);
    check(":export /tmp/x\n", &[Effect::Export(Some("/tmp/x".into()))]);
    // Without its argument a command asks for it.
    check(":users\n300\n", &[submit(Action::SetUsers(300))]);
    check(":nothing like it\n\u{1b}p", &[submit(Action::Pause)]);
}

#[test]
fn every_command_can_be_run_from_the_help() {
    for (at, found) in super::super::find::find("").iter().enumerate() {
        let (mut by_help, mut by_key) = (testing::ui(), testing::ui());
        let app = Arc::new(testing::app());
        press(&mut by_help, &app, "?");
        press(&mut by_help, &app, &"j".repeat(at));
        let helped = press(&mut by_help, &app, "\n");
        let sight = Sight { live: &app, shown: &app, now: Time(1) };
        let acted = by_key.act(found.entry.command, None, sight);
        assert_eq!(numberless(&helped), numberless(&acted), "{}", found.entry.id);
        let overlays = [by_help, by_key].map(|ui| format!("{:?}", ui.overlay));
        assert_eq!(overlays[0], overlays[1], "{}", found.entry.id);
    }
    assert_eq!(super::super::find::find("").len(), REGISTRY.len());
}

/// Returns effects without the numbers of wishes, of which no two are the same.
fn numberless(effects: &[Effect]) -> String {
    let text = format!("{effects:?}");
    let mut parts = text.split("Ask(");
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
    first + &rest.collect::<String>()
}

#[test]
fn a_prompt_refuses_what_is_out_of_range_and_steps_live() {
    let (mut ui, app) = (testing::ui(), testing::app());
    assert_eq!(press(&mut ui, &app, "w0\n"), []);
    let error = |ui: &UiState| match &ui.overlay {
        Some(Overlay::Prompt(prompt)) => prompt.error.clone(),
        other => panic!("the prompt is gone: {other:?}"),
    };
    assert_eq!(error(&ui).as_deref(), Some("workers must be 1 to 1024"));
    assert_eq!(press(&mut ui, &app, "\u{8}+"), [submit(Action::SetWorkers(5))]);
    assert_eq!(error(&ui), None);
    assert_eq!(press(&mut ui, &app, &"9".repeat(500)).len(), 0, "it is bounded");
}

#[test]
fn what_destroys_is_asked_first() {
    check("K", &[]);
    check("jjKKy", &[submit(Action::Kill(testing::app().processes[2].id))]);
    check("KKn", &[]);
    check("K\u{1b}", &[]);
    check("q", &[]);
    check("qy", &[submit(Action::Drain)]);
    check("Qy", &[submit(Action::StopNow)]);
}

#[test]
fn a_running_office_asks_before_it_ends_whatever_it_does_at_the_moment() {
    let running = AppState { totals: Totals::default(), ..testing::app() };
    for phase in [Phase::Starting, Phase::Recovering(None), Phase::Running, Phase::Paused] {
        let app = AppState { phase: phase.clone(), ..running.clone() };
        let mut ui = testing::ui();
        assert_eq!(press(&mut ui, &app, "q"), [], "{phase:?}");
        assert_eq!(press(&mut ui, &app, "y"), [submit(Action::Drain)], "{phase:?}");
    }
    let ending = AppState { phase: Phase::Draining { open: 0 }, ..running.clone() };
    assert_eq!(press(&mut testing::ui(), &ending, "qy"), [submit(Action::StopNow)]);
    let over = AppState { phase: Phase::Stopped(Ending::Completed), ..running };
    assert_eq!(press(&mut testing::ui(), &over, "q"), [Effect::Leave]);
}

#[test]
fn who_only_looks_leaves_the_office_alone() {
    let attached = Attached { pid: Some(7), may_act: true, skipped: 0, lost: None };
    let app = AppState { view: View::Attached(attached), ..testing::app() };
    for keys in ["q", "\u{3}"] {
        assert_eq!(press(&mut testing::ui(), &app, keys), [Effect::Leave], "{keys:?}");
    }
}

#[test]
fn marked_rows_are_acted_on_together() {
    let ids = testing::app().processes.iter().map(|row| row.id).collect::<Vec<_>>();
    check("jj KKy", &[submit(Action::Kill(ids[2]))]);
    check("jj  KKy", &[submit(Action::Kill(ids[2])), submit(Action::Kill(ids[3]))]);
    check("jj  \u{1b}KKy", &[submit(Action::Kill(ids[4]))]);
}

#[test]
fn a_setting_is_taken_back() {
    check("\u{1f}", &[]);
    check("u2000\n\u{1f}", &[submit(Action::SetUsers(2000)), submit(Action::SetUsers(128))]);
}

#[test]
fn an_interrupt_grows_stronger() {
    check("\u{3}", &[]);
    check("\u{3}\u{3}", &[submit(Action::Drain)]);
    let both = [submit(Action::Drain), submit(Action::StopNow)];
    check("\u{3}\u{3}\u{3}", &both);
    check("\u{3}n\u{3}", &[]);
}

#[test]
fn a_process_stays_selected_when_rows_move_or_are_hidden() {
    let (mut ui, mut app) = (testing::ui(), testing::app());
    press(&mut ui, &app, "jj");
    let id = ui.process(&app).unwrap().id;
    app.processes.remove(0);
    assert_eq!(ui.process(&app).unwrap().id, id);
    press(&mut ui, &app, "G");
    let last = app.processes.last().unwrap().id;
    assert_eq!(ui.process(&app).unwrap().id, last);
    press(&mut ui, &app, "/worker\n");
    let shown = ui.process(&app).unwrap().id;
    assert_eq!(shown.role(), "worker", "who is hidden is not acted on");
    press(&mut ui, &app, "\u{1b}");
    assert_eq!(ui.process(&app).unwrap().id, last);
}

#[test]
fn columns_are_sorted_by_menu_and_by_keys() {
    let (mut ui, app) = (testing::ui(), testing::app());
    let sort = |ui: &UiState| ui.arrangement(Panel::Processes).sort;
    press(&mut ui, &app, ">");
    assert_eq!(sort(&ui), Some((1, true)));
    press(&mut ui, &app, "S");
    assert_eq!(sort(&ui), Some((1, false)));
    press(&mut ui, &app, "sd");
    assert_eq!(sort(&ui), Some((3, true)), "the fourth column of the menu");
    press(&mut ui, &app, ":sort memory\n");
    assert_eq!(sort(&ui), Some((4, true)));
}

#[test]
fn an_order_of_rows_is_taken_back_too() {
    let (mut ui, app) = (testing::ui(), testing::app());
    let sort = |ui: &UiState| ui.arrangement(Panel::Processes).sort;
    press(&mut ui, &app, "u5\n>S");
    assert_eq!(sort(&ui), Some((1, false)));
    press(&mut ui, &app, "\u{1f}\u{1f}");
    assert_eq!(sort(&ui), None);
    assert_eq!(press(&mut ui, &app, "\u{1f}"), [submit(Action::SetUsers(128))]);
}

#[test]
fn what_can_not_be_done_says_why() {
    let (mut ui, mut app) = (testing::ui(), testing::app());
    app.phase = Phase::Draining { open: 3 };
    assert_eq!(press(&mut ui, &app, "pu"), []);
    let texts: Vec<&str> = ui.toasts.iter().map(|toast| toast.text.as_str()).collect();
    assert_eq!(texts, ["the doors are not open", "the run is ending"]);
    assert!(ui.tick(Time(1) + TOAST_TIME));
    assert_eq!(ui.toasts, []);
}

#[test]
fn the_time_of_the_latencies_goes_round() {
    let (mut ui, app) = (testing::ui(), testing::app());
    let seen: Vec<Option<usize>> = (0..4)
        .map(|_| {
            press(&mut ui, &app, "i");
            ui.recent
        })
        .collect();
    assert_eq!(seen, [Some(0), Some(1), Some(2), None]);
}

#[test]
fn tab_visits_every_panel_of_every_screen() {
    let (mut ui, app) = (testing::ui(), testing::app());
    for (key, screen) in ('1'..).zip(Screen::ALL) {
        press(&mut ui, &app, &key.to_string());
        assert_eq!(ui.screen, screen);
        for panel in screen.panels() {
            assert_eq!(ui.focus(), *panel);
            press(&mut ui, &app, "\t");
        }
        assert_eq!(ui.focus(), screen.panels()[0]);
        ui.key(KeyEvent::from(KeyCode::BackTab), &Arc::new(app.clone()), Time(1));
        assert_eq!(Some(&ui.focus()), screen.panels().last());
    }
}

#[test]
fn a_frozen_display_stays_and_commands_still_act_on_the_present() {
    let (mut ui, mut app) = (testing::ui(), testing::app());
    press(&mut ui, &app, "f");
    app.users.target = Some(500);
    let live = Arc::new(app.clone());
    assert_eq!(ui.shown(&live).users.target, Some(128));
    assert_eq!(press(&mut ui, &app, "u+"), [submit(Action::SetUsers(550))]);
    press(&mut ui, &app, "\u{1b}f");
    assert_eq!(ui.shown(&live).users.target, Some(500));
}

/// Returns the changes that effects wish for.
fn changes(effects: &[Effect]) -> Vec<String> {
    let change = |effect: &Effect| match effect {
        Effect::Submit(Action::Set { changes, .. }) => changes[0].to_string(),
        other => panic!("{other:?} changes no key"),
    };
    effects.iter().map(change).collect()
}

#[test]
fn interventions_have_keys_prompts_and_undos() {
    use crate::app::action::ProcessId;
    use engine::ids::{LoadId, ServiceId, WorkerId};
    use std::time::Duration;
    let worker = ProcessId::Worker(WorkerId(0));
    let ms = Duration::from_millis;
    check("X", &[submit(Action::Strike)]);
    check("X\u{1f}", &[submit(Action::Strike), submit(Action::EndStrike)]);
    check("bb", &[submit(Action::Block(ServiceId(1)))]);
    check(
        ":block passports\n\u{1f}",
        &[submit(Action::Block(ServiceId(2))), submit(Action::Unblock(ServiceId(2)))],
    );
    check(":block stamps\n", &[]);
    check(
        "I200ms\n\u{1f}",
        &[submit(Action::SlowIssuer(ms(200))), submit(Action::SlowIssuer(ms(0)))],
    );
    check(":slow-issuer off\n", &[submit(Action::SlowIssuer(ms(0)))]);
    check("jjKs\n", &[submit(Action::Freeze(worker, Duration::from_secs(1)))]);
    check("jjKr", &[]);
    check("jjry", &[submit(Action::Restart(worker))]);
    check("xX", &[submit(Action::Strike)]);
    check(":speed 2.5\n\u{1f}", &[submit(Action::SetSpeed(2.5)), submit(Action::SetSpeed(1.0))]);
    check(":speed 9000\n", &[]);
    let rates = testing::app().settings.tempo.rates;
    let (name, load) = (&rates[0].name, rates[0].load);
    let rate = |per_second| submit(Action::SetRate { load, per_second });
    check(&format!(":rate {name} 300\n\u{1f}"), &[rate(300.0), rate(rates[0].wanted)]);
    check(&format!(":rate {name} 0\n"), &[]);
    check(":rate nobody 5\n", &[]);
    assert!(rates.iter().all(|rate| rate.load != LoadId(99)));
}

#[test]
fn only_a_paused_office_steps() {
    let (mut ui, mut app) = (testing::ui(), testing::app());
    assert_eq!(press(&mut ui, &app, "."), []);
    assert!(ui.toasts[0].text.contains("only a paused office steps"));
    app.phase = Phase::Paused;
    let step = Action::Step(std::time::Duration::from_millis(500));
    assert_eq!(press(&mut ui, &app, ":step 500ms\n"), [submit(step)]);
    assert_eq!(press(&mut ui, &app, ":step 9h\n"), [], "it is bounded");
}

#[test]
fn keys_of_the_scenario_are_checked_changed_and_taken_back() {
    let (mut ui, app) = (testing::ui(), testing::app());
    assert_eq!(changes(&press(&mut ui, &app, "Fn")), ["storage.fsync=none"]);
    assert_eq!(changes(&press(&mut ui, &app, "\u{1f}")), ["storage.fsync="]);
    assert_eq!(changes(&press(&mut ui, &app, ":set office.room=500\n")), ["office.room=500"]);
    assert_eq!(press(&mut ui, &app, ":set office.room=lots\n"), []);
    let refused = "lots is not a whole number from 1 to 10000000";
    assert_eq!(ui.toasts.last().unwrap().text, refused);
    assert_eq!(press(&mut ui, &app, ":set office.rooms=5\n"), []);
    assert!(ui.toasts.last().unwrap().text.contains("there is no key office.rooms"));
    assert_eq!(press(&mut ui, &app, ":set run.seed=5\n"), []);
    assert!(ui.toasts.last().unwrap().text.contains("needs a new run"));
    // On its screen, Enter asks for the selected key's value.
    press(&mut ui, &app, "8/storage.fsync\n");
    press(&mut ui, &app, "\u{1b}/fsync\n\n");
    assert!(matches!(&ui.overlay, Some(Overlay::Prompt(_))), "{:?}", ui.overlay);
    press(&mut ui, &app, &"\u{8}".repeat(40));
    assert_eq!(changes(&press(&mut ui, &app, "each_batch\n")), ["storage.fsync=each_batch"]);
}

fn texts(ui: &UiState) -> Vec<&str> {
    ui.toasts.iter().map(|toast| toast.text.as_str()).collect()
}

/// Returns an office in which somebody has just done something.
fn with_event(app: &AppState, who: Source, severity: Severity, text: &str) -> AppState {
    let mut app = app.clone();
    let events = Arc::make_mut(&mut app.events);
    let number = events.last().map_or(1, |event: &Happening| event.number + 1);
    let (at, wall) = (app.at, app.wall);
    let (label, text) = (String::new(), text.to_owned());
    events.push(Happening { number, at, wall, severity, who, label, text });
    app
}

#[test]
fn what_comes_of_a_key_is_told_once() {
    use crate::app::conf::{Answer, Refusal};
    let (mut ui, app) = (testing::ui(), testing::app());
    ui.hear(&app, Time(1));
    let effects = press(&mut ui, &app, ":set office.room=500\n");
    let [Effect::Submit(Action::Set { ask, .. })] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    let mut app = with_event(&app, Source::Key, Severity::Info, "office.room: 9 -> 500 (live)");
    app.answers = Arc::new(vec![Answer { ask: *ask, outcome: Ok(vec![changed_room()]) }]);
    ui.hear(&app, Time(2));
    ui.hear(&app, Time(3));
    assert_eq!(texts(&ui), ["office.room: 9 -> 500 (live)"]);
    let app = with_event(&app, Source::Ctl, Severity::Info, "service letters blocked");
    ui.hear(&app, Time(4));
    assert_eq!(texts(&ui)[1], "service letters blocked by a person (ctl)");
    // What is wrong in several places has a window of its own.
    let effects = press(&mut ui, &app, ":set office.room=600\n");
    let [Effect::Submit(Action::Set { ask, .. })] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    let mut app = with_event(&app, Source::Key, Severity::Warning, "nothing was changed: a; b");
    let refusal = Refusal { text: "a\nb".to_owned(), is_usage: false };
    app.answers = Arc::new(vec![Answer { ask: *ask, outcome: Err(refusal) }]);
    ui.hear(&app, Time(5));
    assert!(matches!(&ui.overlay, Some(Overlay::Detail(detail)) if detail.lines.len() == 2));
    assert_eq!(texts(&ui).len(), 2, "{:?}", ui.toasts);
}

fn changed_room() -> crate::app::conf::ChangeRow {
    crate::app::conf::ChangeRow {
        key: "office.room".to_owned(),
        old: "(10000)".to_owned(),
        new: "500".to_owned(),
        needs: engine::config::schema::Change::Live,
        fate: crate::app::conf::Fate::Applied,
    }
}

#[test]
fn what_changes_nothing_says_so() {
    use super::super::office::nothing_to_do;
    let app = testing::app();
    let said = |action| nothing_to_do(&action, &app);
    assert_eq!(said(Action::SetUsers(128)).as_deref(), Some("128 users are wanted already"));
    assert_eq!(said(Action::SetUsers(129)), None);
    assert_eq!(said(Action::SetSpeed(1.0)).as_deref(), Some("users live 1 times as fast already"));
    let (mut ui, app) = (testing::ui(), testing::app());
    press(&mut ui, &app, "-");
    assert_eq!(texts(&ui), ["charts cover no less"]);
    press(&mut ui, &app, "7z");
    assert_eq!(texts(&ui)[1], "the panel has the whole screen already");
    assert!(!ui.is_zoomed());
}

#[test]
fn a_zoomed_panel_stays_on_its_screen() {
    let (mut ui, app) = (testing::ui(), testing::app());
    press(&mut ui, &app, "z");
    assert!(ui.is_zoomed());
    press(&mut ui, &app, "4");
    assert!(!ui.is_zoomed());
    press(&mut ui, &app, "1");
    assert!(ui.is_zoomed());
    press(&mut ui, &app, "z");
    assert!(!ui.is_zoomed());
}

#[test]
fn a_filter_that_is_not_wanted_after_all_is_as_before() {
    let (mut ui, app) = (testing::ui(), testing::app());
    let filter = |ui: &UiState| ui.arrangement(Panel::Processes).filter;
    press(&mut ui, &app, "/wor\n");
    press(&mut ui, &app, "/ker 3");
    assert_eq!(filter(&ui), "worker 3", "it acts while it is typed");
    press(&mut ui, &app, "\u{1b}");
    assert_eq!(filter(&ui), "wor");
}

#[test]
fn every_line_of_a_narrow_panel_can_be_scrolled_to() {
    let (mut ui, app) = (testing::ui(), testing::measured());
    ui.area = Rect::new(0, 0, 120, 40);
    ui.set_focus(Panel::Store);
    let shown = |ui: &UiState, app: &AppState| {
        let mut buf = ratatui::buffer::Buffer::empty(ui.area);
        view::draw(testing::scene(ui, app), &mut buf);
        let rows = buf.content.chunks(120);
        let text = |row: &[ratatui::buffer::Cell]| -> String {
            row.iter().map(ratatui::buffer::Cell::symbol).collect()
        };
        rows.map(text).collect::<Vec<String>>().join("\n")
    };
    assert!(shown(&ui, &app).contains("more below"));
    press(&mut ui, &app, "G");
    let end = shown(&ui, &app);
    assert!(end.contains("where "), "{end}");
    press(&mut ui, &app, "k");
    assert_ne!(shown(&ui, &app), end, "each key moves");
}

#[test]
fn a_window_of_lines_ends_with_the_last_one() {
    let (mut ui, app) = (testing::ui(), testing::app());
    let lines = (0..100).map(|line| (String::new(), format!("line {line}"))).collect();
    ui.overlay = Some(Overlay::Detail(Detail::of("All".to_owned(), lines, 80)));
    press(&mut ui, &app, "G");
    let scroll = |ui: &UiState| match &ui.overlay {
        Some(Overlay::Detail(detail)) => detail.scroll,
        other => panic!("{other:?}"),
    };
    assert_eq!(scroll(&ui), 100 - 22);
    press(&mut ui, &app, "k");
    assert_eq!(scroll(&ui), 100 - 23);
}

#[test]
fn columns_without_a_name_are_not_offered() {
    let (mut ui, app) = (testing::ui(), testing::measured());
    ui.set_focus(Panel::Alerts);
    press(&mut ui, &app, "s");
    let Some(Overlay::Menu(menu)) = &ui.overlay else { panic!("{:?}", ui.overlay) };
    assert_eq!(menu.choices[0].label, "time");
}

#[test]
fn a_reload_is_shown_and_applied_only_with_a_yes() {
    use crate::app::action::ReloadMode;
    use crate::app::conf::{ChangeRow, Fate, PendingReload};
    use engine::clock::WallTime;
    use engine::config::schema::Change;
    let (mut ui, mut app) = (testing::ui(), testing::app());
    let effects = press(&mut ui, &app, "R");
    let is_proposal = |effect: &Effect| {
        matches!(effect, Effect::Submit(Action::Reload { mode: ReloadMode::Propose, .. }))
    };
    assert!(effects.len() == 1 && is_proposal(&effects[0]), "{effects:?}");
    let row = ChangeRow {
        key: "office.room".to_owned(),
        old: "10000".to_owned(),
        new: "500".to_owned(),
        needs: Change::Live,
        fate: Fate::Proposed,
    };
    let pending = |wall, outcome| {
        Some(Arc::new(PendingReload {
            source: "office.ini".to_owned(),
            wall: WallTime(wall),
            outcome,
        }))
    };
    app.reload = pending(5, Ok(vec![row]));
    ui.hear(&app, Time(2));
    assert_eq!(press(&mut ui, &app, "n"), [submit(Action::DropReload)]);
    ui.hear(&app, Time(3));
    assert!(ui.overlay.is_none(), "the same is not shown again by itself");
    press(&mut ui, &app, "R");
    let effects = press(&mut ui, &app, "y");
    assert!(matches!(effects.as_slice(), [Effect::Submit(Action::ApplyReload { .. })]));
    // A bad file has nothing to apply.
    app.reload = pending(6, Err("office.ini:3: rooms: there is no such key".to_owned()));
    ui.hear(&app, Time(4));
    let Some(Overlay::Plan(plan)) = &ui.overlay else { panic!("{:?}", ui.overlay) };
    assert_eq!((plan.yes.as_ref(), plan.lines[0].1.contains(":3:")), (None, true));
    assert_eq!(press(&mut ui, &app, "y"), []);
    assert_eq!(press(&mut ui, &app, "\u{1b}"), [submit(Action::DropReload)]);
}

#[test]
fn a_scenario_that_can_not_be_used_is_told_once() {
    use crate::app::conf::{Answer, PendingReload, Refusal};
    use engine::clock::WallTime;
    let (mut ui, mut app) = (testing::ui(), testing::app());
    let effects = press(&mut ui, &app, "R");
    let [Effect::Submit(Action::Reload { ask, .. })] = effects.as_slice() else { panic!() };
    let text = "office.ini:3: rooms: no such key\noffice.ini:9: seats: many is no number";
    let (source, wall) = ("office.ini".to_owned(), WallTime(5));
    let outcome = Err(text.to_owned());
    app.reload = Some(Arc::new(PendingReload { source, wall, outcome }));
    let refusal = Refusal { text: text.to_owned(), is_usage: true };
    app.answers = Arc::new(vec![Answer { ask: *ask, outcome: Err(refusal) }]);
    ui.hear(&app, Time(2));
    assert!(matches!(&ui.overlay, Some(Overlay::Plan(plan)) if plan.lines.len() == 2));
    assert_eq!(press(&mut ui, &app, "\u{1b}"), [submit(Action::DropReload)]);
    ui.hear(&app, Time(3));
    assert!(ui.overlay.is_none(), "{:?}", ui.overlay);
}

#[test]
fn who_only_looks_on_changes_nothing() {
    let (mut ui, app) = (testing::ui(), testing::app());
    ui.access = crate::app::handle::Access::ReadOnly;
    for keys in ["p", "X", "u", "w", "jjK", "r", "R", "F", "D", ".", "x", "V"] {
        assert_eq!(press(&mut ui, &app, keys), [], "{keys}");
        assert!(ui.overlay.is_none(), "{keys}");
    }
    assert!(ui.toasts.iter().any(|toast| toast.text.contains("only looks; see --control")));
    assert_eq!(press(&mut ui, &app, "e\n"), [Effect::Export(None)]);
}

#[test]
fn what_is_not_its_own_is_not_ended_from_a_dashboard_that_may_not() {
    use crate::app::handle::Access;
    let attached = Attached { pid: Some(7), may_act: false, skipped: 0, lost: None };
    let app = AppState { view: View::Attached(attached), ..testing::app() };
    let quit_now = |access, app: &AppState| {
        let mut ui = testing::ui();
        ui.access = access;
        press(&mut ui, app, "Q");
        (ui.overlay.is_some(), ui.toasts.len())
    };
    assert_eq!(quit_now(Access::ReadOnly, &app), (false, 1), "nothing is asked in vain");
    assert_eq!(quit_now(Access::Control, &app), (true, 0));
    assert_eq!(quit_now(Access::Watch, &testing::app()), (true, 0), "its own it may end");
    let lost = Some("the office has ended".to_owned());
    let attached = Attached { pid: None, may_act: true, skipped: 0, lost };
    let app = AppState { view: View::Attached(attached), ..testing::app() };
    let mut ui = testing::ui();
    ui.access = Access::Control;
    assert_eq!(press(&mut ui, &app, "pQq"), [Effect::Leave], "nobody would hear it");
    assert_eq!(texts(&ui), ["nobody is there any more"]);
    let mut ui = testing::ui();
    ui.access = Access::Watch;
    assert_eq!(press(&mut ui, &testing::app(), "pu"), []);
    assert!(ui.overlay.is_none());
    assert_eq!(texts(&ui), ["this dashboard was started with --read-only"]);
}

#[test]
fn logs_are_filtered_by_level_and_source() {
    let (mut ui, app) = (testing::with_log(), testing::app());
    press(&mut ui, &app, "7");
    assert_eq!(press(&mut ui, &app, "oe"), [Effect::LogLevel(log::LevelFilter::Error)]);
    assert_eq!(ui.logbook.newest(&ui.log_view, None, usize::MAX).len(), 1);
    press(&mut ui, &app, ":log-level debug\n");
    press(&mut ui, &app, ":log-sources issuer\n");
    assert_eq!(ui.logbook.newest(&ui.log_view, None, usize::MAX).len(), 4);
    press(&mut ui, &app, ":log-sources all\n");
    assert_eq!(ui.logbook.newest(&ui.log_view, None, usize::MAX).len(), 6);
    assert_eq!(press(&mut ui, &app, ":log-level loud\n"), []);
}
