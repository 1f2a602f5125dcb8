//! Keys in, effects out.

use crossterm::event::{KeyCode, KeyModifiers};

use super::*;
use crate::app::state::Attached;
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
    check("e", &[Effect::Export(None)]);
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
        let sight = Sight { live: &app, shown: &app };
        let acted = by_key.act(found.entry.command, None, sight, Time(1));
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
    check("jjKky", &[submit(Action::Kill(testing::app().processes[2].id))]);
    check("Kkn", &[]);
    check("K\u{1b}", &[]);
    check("q", &[]);
    check("qy", &[submit(Action::Drain)]);
    check("Qy", &[submit(Action::StopNow)]);
    let (mut ui, mut app) = (testing::ui(), testing::app());
    (app.totals.waiting, app.totals.in_service) = (0, 0);
    assert_eq!(press(&mut ui, &app, "q"), [submit(Action::Drain)], "nothing to lose");
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
    check("jj Kky", &[submit(Action::Kill(ids[2]))]);
    check("jj  Kky", &[submit(Action::Kill(ids[2])), submit(Action::Kill(ids[3]))]);
    check("jj  \u{1b}Kky", &[submit(Action::Kill(ids[4]))]);
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
    app.users.target = 500;
    let live = Arc::new(app.clone());
    assert_eq!(ui.shown(&live).users.target, 128);
    assert_eq!(press(&mut ui, &app, "u+"), [submit(Action::SetUsers(550))]);
    press(&mut ui, &app, "\u{1b}f");
    assert_eq!(ui.shown(&live).users.target, 500);
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

#[test]
fn the_outcome_of_a_change_is_told_once() {
    use crate::app::conf::{Answer, ChangeRow, Fate, Refusal};
    use engine::config::schema::Change;
    let (mut ui, mut app) = (testing::ui(), testing::app());
    let effects = press(&mut ui, &app, ":set office.room=500\n");
    let [Effect::Submit(Action::Set { ask, .. })] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    let row = ChangeRow {
        key: "office.room".to_owned(),
        old: "(10000)".to_owned(),
        new: "500".to_owned(),
        needs: Change::Live,
        fate: Fate::Applied,
    };
    app.answers = Arc::new(vec![Answer { ask: *ask, outcome: Ok(vec![row]) }]);
    ui.hear(&app, Time(2));
    ui.hear(&app, Time(3));
    let texts: Vec<&str> = ui.toasts.iter().map(|toast| toast.text.as_str()).collect();
    assert_eq!(texts, ["office.room = 500"]);
    let effects = press(&mut ui, &app, ":set office.room=600\n");
    let [Effect::Submit(Action::Set { ask, .. })] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    let refusal = Refusal { text: "the run is ending".to_owned(), is_usage: false };
    app.answers = Arc::new(vec![Answer { ask: *ask, outcome: Err(refusal) }]);
    ui.hear(&app, Time(4));
    assert_eq!(ui.toasts.last().unwrap().text, "office.room=600: the run is ending");
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
    assert!(ui.toasts.iter().any(|toast| toast.text == "this dashboard only looks on"));
    assert_eq!(press(&mut ui, &app, "e"), [Effect::Export(None)]);
}

#[test]
fn logs_are_filtered_by_level_and_source() {
    let (mut ui, app) = (testing::with_log(), testing::app());
    press(&mut ui, &app, "7");
    assert_eq!(press(&mut ui, &app, "oe"), [Effect::LogLevel(log::LevelFilter::Error)]);
    assert_eq!(ui.logbook.lines(&ui.log_view, None).len(), 1);
    press(&mut ui, &app, ":log-level debug\n");
    press(&mut ui, &app, ":log-sources issuer\n");
    assert_eq!(ui.logbook.lines(&ui.log_view, None).len(), 4);
    press(&mut ui, &app, ":log-sources all\n");
    assert_eq!(ui.logbook.lines(&ui.log_view, None).len(), 6);
    assert_eq!(press(&mut ui, &app, ":log-level loud\n"), []);
}
