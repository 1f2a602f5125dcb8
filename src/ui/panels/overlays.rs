//! What lies over the screen: help, prompt, question.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::draw_pieces;
use crate::app::action::ProcessId;
use crate::app::format;
use crate::app::state::AppState;
use crate::ui::keymap::{Entry, Group, Key, REGISTRY};
use crate::ui::theme::Tone;
use crate::ui::update::{Overlay, Prompt, Question};
use crate::ui::view::{Scene, bordered};

/// Draws the overlay, if there is one.
pub(crate) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    match &scene.ui.overlay {
        None => {}
        Some(Overlay::Help { scroll }) => draw_help(scene, *scroll, area, buf),
        Some(Overlay::Prompt(prompt)) => draw_prompt(scene, prompt, area, buf),
        Some(Overlay::Confirm(question)) => draw_question(scene, *question, area, buf),
    }
}

/// Clears a box in the middle of the screen, draws its border and returns what is inside.
fn window(scene: Scene<'_>, title: &str, size: (u16, u16), area: Rect, buf: &mut Buffer) -> Rect {
    let (width, height) = (size.0.min(area.width), size.1.min(area.height));
    let window = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    for position in window.positions() {
        if let Some(cell) = buf.cell_mut(position) {
            cell.reset();
        }
    }
    bordered(scene.theme(), Tone::Accent, title, window, buf)
}

fn draw_help(scene: Scene<'_>, scroll: u16, area: Rect, buf: &mut Buffer) {
    let lines = help_lines();
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let inner = window(scene, "Help", (78, height), area, buf);
    let rows = usize::from(inner.height);
    let most = lines.len().saturating_sub(rows);
    let first = usize::from(scroll).min(most);
    for (y, pieces) in (inner.y..inner.bottom()).zip(&lines[first..]) {
        draw_pieces(pieces, scene.theme(), Rect { y, height: 1, ..inner }, buf);
    }
    if first < most && inner.width > 20 {
        let text = " more below: j ";
        let x = inner.right() - u16::try_from(text.len()).unwrap_or(0);
        buf.set_string(x, inner.bottom(), text, scene.theme().style(Tone::Accent));
    }
}

/// Returns the help, made from the registry.
fn help_lines() -> Vec<Vec<(String, Tone)>> {
    let mut lines = Vec::new();
    for (group, title) in Group::ALL {
        if !lines.is_empty() {
            lines.push(Vec::new());
        }
        lines.push(vec![(format!(" {title}"), Tone::Accent)]);
        lines.extend(REGISTRY.iter().filter(|entry| entry.group == group).map(help_line));
    }
    lines
}

fn help_line(entry: &Entry) -> Vec<(String, Tone)> {
    let keys: Vec<String> = entry.keys.iter().copied().map(Key::name).collect();
    vec![(format!("  {:<13}", keys.join(" ")), Tone::Strong), (entry.doc.to_owned(), Tone::Plain)]
}

fn draw_prompt(scene: Scene<'_>, prompt: &Prompt, area: Rect, buf: &mut Buffer) {
    let name = prompt.what.name();
    let (low, high) = prompt.what.bounds();
    let title = format!("How many {name}?");
    let inner = window(scene, &title, (46, 5), area, buf);
    let target = prompt.what.target(scene.app);
    let lines = [
        vec![
            (" wanted now ".to_owned(), Tone::Quiet),
            (format::count(u64::from(target)), Tone::Strong),
            (format!("   from {low} to {}", format::count(u64::from(high))), Tone::Quiet),
        ],
        vec![
            (" new        ".to_owned(), Tone::Quiet),
            (format!("{}_", prompt.input.value()), Tone::Accent),
        ],
        vec![(" Enter sets it, + and - step at once".to_owned(), Tone::Quiet)],
    ];
    for (y, pieces) in (inner.y..inner.bottom()).zip(&lines) {
        draw_pieces(pieces, scene.theme(), Rect { y, height: 1, ..inner }, buf);
    }
}

fn draw_question(scene: Scene<'_>, question: Question, area: Rect, buf: &mut Buffer) {
    let (title, what) = question_text(question, scene.app);
    let inner = window(scene, &title, (66, 5), area, buf);
    let lines = [
        vec![(format!(" {what}"), Tone::Plain)],
        Vec::new(),
        vec![
            (" y".to_owned(), Tone::Accent),
            (" yes   ".to_owned(), Tone::Plain),
            ("n".to_owned(), Tone::Accent),
            (" no".to_owned(), Tone::Plain),
        ],
    ];
    for (y, pieces) in (inner.y..inner.bottom()).zip(&lines) {
        draw_pieces(pieces, scene.theme(), Rect { y, height: 1, ..inner }, buf);
    }
}

/// Returns what is asked, and what a yes does.
fn question_text(question: Question, app: &AppState) -> (String, String) {
    let open = format::count(app.totals.waiting + app.totals.in_service);
    match question {
        Question::Kill(process) => {
            let effect = match process {
                ProcessId::Director => "the director does not kill itself",
                ProcessId::Issuer => "users and workers wait until a new one has read the log",
                ProcessId::Worker(_) => {
                    "its tickets are handed out again; a new one takes its place"
                }
                ProcessId::UsersManager => "all users end with it and come back with a new one",
                ProcessId::User(_) => "its users come back in a new process",
            };
            (format!("Kill {process}?"), effect.to_owned())
        }
        Question::Drain => (
            "End the run?".to_owned(),
            format!("arrivals stop, {open} open tickets are served, then all stops"),
        ),
        Question::StopNow => (
            "End the run at once?".to_owned(),
            format!("{open} open tickets are not served; they stay in the log"),
        ),
    }
}
