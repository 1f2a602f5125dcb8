//! Keys in, effects out.

use crossterm::event::{KeyCode, KeyModifiers};

use super::*;
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
