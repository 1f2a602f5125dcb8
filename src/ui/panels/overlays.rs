//! What lies over the screen: help and palette, prompt, question, menu, detail, toasts.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Pieces, draw_cut, draw_pieces, draw_text};
use crate::ui::ask::Ask;
use crate::ui::layout::Class;
use crate::ui::model::{Detail, Find, Menu, Overlay, Plan, Prompt, Question};
use crate::ui::reasons;
use crate::ui::registry::{Entry, Group};
use crate::ui::theme::Tone;
use crate::ui::view::{Scene, bordered};
use crate::ui::widgets::table::{clear, visible};

/// Room for a command's keys, and for its name.
const KEYS_WIDTH: usize = 11;
const ID_WIDTH: usize = 18;

/// Draws the toasts, and the overlay if there is one.
pub(crate) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    draw_toasts(scene, area, buf);
    let Some(overlay) = &scene.ui.overlay else { return };
    let window = self::area(overlay, area);
    clear(window, buf);
    let inner = bordered(scene.theme(), Tone::Accent, &title(overlay), window, buf);
    match overlay {
        Overlay::Find(find) => draw_find(scene, find, inner, buf),
        Overlay::Prompt(prompt) => draw_prompt(scene, prompt, inner, buf),
        Overlay::Confirm(question) => draw_question(scene, question, inner, buf),
        Overlay::Menu(menu) => draw_menu(scene, menu, inner, buf),
        Overlay::Detail(detail) => draw_detail(scene, detail, inner, buf),
        Overlay::Plan(plan) => draw_plan(scene, plan, inner, buf),
    }
}

fn title(overlay: &Overlay) -> String {
    match overlay {
        Overlay::Find(find) if find.is_help => "Help".to_owned(),
        Overlay::Find(_) => "Do what?".to_owned(),
        Overlay::Prompt(prompt) => prompt.ask.title().into_owned(),
        Overlay::Confirm(question) => question.title.clone(),
        Overlay::Menu(menu) => menu.title.clone(),
        Overlay::Detail(detail) => detail.title.clone(),
        Overlay::Plan(plan) => plan.title.clone(),
    }
}

/// Returns where an overlay lies on a screen.
pub(crate) fn area(overlay: &Overlay, area: Rect) -> Rect {
    let len = |lines: usize| u16::try_from(lines).unwrap_or(u16::MAX);
    let longest = |texts: &mut dyn Iterator<Item = usize>| len(texts.max().unwrap_or(0));
    let (width, height) = match overlay {
        Overlay::Find(_) => (100, area.height.saturating_sub(4).max(6)),
        // Meanings, ranges and mistakes of keys are sentences.
        Overlay::Prompt(Prompt { ask: Ask::Value(..), .. }) => (78, 7),
        Overlay::Prompt(_) => (64, 5),
        Overlay::Confirm(question) => {
            (66, 4 + len(wrap(&question.text, usize::from(66.min(area.width)).max(4) - 4).len()))
        }
        Overlay::Menu(menu) => {
            let labels =
                longest(&mut menu.choices.iter().map(|choice| choice.label.chars().count()));
            let notes = longest(&mut menu.choices.iter().map(|choice| choice.note.chars().count()));
            let head = len(menu.title.chars().count() + 6);
            ((labels + notes + 9).max(head).max(32), len(menu.choices.len()) + 2)
        }
        Overlay::Detail(detail) => {
            let width = 8 + longest(
                &mut detail
                    .lines
                    .iter()
                    .map(|(name, value)| name.chars().count().max(14) + value.chars().count()),
            );
            (width.max(48), len(detail.lines.len()) + 2)
        }
        Overlay::Plan(plan) => {
            let line =
                |(name, value): &(String, String)| name.chars().count() + value.chars().count();
            let width = longest(&mut plan.lines.iter().map(line)) + 8;
            (width.max(len(title(overlay).chars().count()) + 8).max(48), len(plan.lines.len()) + 4)
        }
    };
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    }
}

/// Returns how many of its lines an overlay shows on a screen.
pub(crate) fn lines_shown(overlay: &Overlay, screen: Rect) -> usize {
    // A border, and what stands above or below the lines.
    let rest = match overlay {
        Overlay::Plan(_) => 4,
        Overlay::Find(_) => 4,
        _ => 2,
    };
    usize::from(area(overlay, screen).height.saturating_sub(rest))
}

/// Returns the line of an overlay under the mouse, counted as the overlay counts its lines.
pub(crate) fn line_at(overlay: &Overlay, area: Rect, y: u16) -> Option<usize> {
    let y = usize::from(y.checked_sub(area.y + 1)?);
    let height = usize::from(area.height.saturating_sub(2));
    match overlay {
        Overlay::Menu(menu) => (y < menu.choices.len()).then_some(y),
        // The first line has what was typed, the last what is said of the selected one.
        Overlay::Find(find) if (1..height.saturating_sub(1)).contains(&y) => {
            let lines = find_lines(find);
            let first = first_line(&lines, find.selected, height.saturating_sub(2));
            match lines.get(first + y - 1)? {
                FindLine::Command(at) => Some(*at),
                FindLine::Group(_) | FindLine::Gap => None,
            }
        }
        _ => None,
    }
}

/// A line of the help or the palette.
enum FindLine {
    Group(&'static str),
    Gap,
    /// A command, by its place among those that fit.
    Command(usize),
}

fn find_lines(find: &Find) -> Vec<FindLine> {
    let rows = find.rows();
    let by_groups = find.is_help && find.input.value().trim().is_empty();
    let mut lines = Vec::new();
    let mut last: Option<Group> = None;
    for (at, found) in rows.iter().enumerate() {
        if by_groups && last != Some(found.entry.group) {
            if last.is_some() {
                lines.push(FindLine::Gap);
            }
            lines.push(FindLine::Group(found.entry.group.name()));
            last = Some(found.entry.group);
        }
        lines.push(FindLine::Command(at));
    }
    lines
}

/// Returns the first line that is shown, so that the selected command is.
fn first_line(lines: &[FindLine], selected: usize, height: usize) -> usize {
    let is_it = |line: &FindLine| matches!(line, FindLine::Command(at) if *at == selected);
    let at = lines.iter().position(is_it).unwrap_or(0);
    (at + 2).saturating_sub(height).min(lines.len().saturating_sub(height))
}

fn draw_find(scene: Scene<'_>, find: &Find, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    let typed = find.input.value();
    let first = if find.is_typing {
        vec![(" > ".to_owned(), Tone::Quiet), (format!("{typed}_"), Tone::Accent)]
    } else {
        vec![(" / searches, Enter does the selected line".to_owned(), Tone::Quiet)]
    };
    draw_pieces(&first, theme, Rect { height: 1.min(area.height), ..area }, buf);
    let body =
        Rect { y: area.y + 1.min(area.height), height: area.height.saturating_sub(2), ..area };
    let (rows, lines) = (find.rows(), find_lines(find));
    if lines.is_empty() {
        super::draw_reason(" nothing is called that", theme, body, buf);
    }
    let top = first_line(&lines, find.selected, usize::from(body.height));
    for (y, line) in (body.y..body.bottom()).zip(lines.iter().skip(top)) {
        let row = Rect { y, height: 1, ..body };
        match line {
            FindLine::Gap => {}
            FindLine::Group(name) => {
                draw_pieces(&[(format!(" {name}"), Tone::Accent)], theme, row, buf);
            }
            FindLine::Command(at) => {
                let found = &rows[*at];
                let pieces =
                    command_line(scene, found.entry, found.argument.as_deref(), body.width);
                draw_cut(pieces, theme, row, buf);
                if *at == find.selected {
                    buf.set_style(row, theme.style(Tone::Selected));
                }
            }
        }
    }
    if let Some(found) = rows.get(find.selected).filter(|_| area.height > 1) {
        let last = Rect { y: area.bottom() - 1, height: 1, ..area };
        draw_pieces(&[more_about(scene, found.entry)], theme, last, buf);
    }
    let below = lines.len().saturating_sub(top + usize::from(body.height));
    if below > 0 && area.width > 20 {
        let text = format!(" {below} more below ");
        let x = area.right() - u16::try_from(text.len()).unwrap_or(0);
        buf.set_string(x, area.bottom(), text, theme.style(Tone::Accent));
    }
}

/// A list that is this wide has room for names beside what is said of them.
const NAMED_WIDTH: u16 = 92;

fn command_line(scene: Scene<'_>, entry: &Entry, argument: Option<&str>, width: u16) -> Pieces {
    let keys = scene.ui.keymap.keys_text(entry.command);
    let reason = scene.ui.disabled_reason(entry.command, scene.live, scene.app);
    let tone = if reason.is_some() { Tone::Quiet } else { Tone::Plain };
    let mut pieces = vec![(format!(" {keys:<KEYS_WIDTH$} "), Tone::Strong)];
    if width >= NAMED_WIDTH {
        let id = match argument {
            Some(argument) => format!("{} {argument}", entry.id),
            None => entry.id.to_owned(),
        };
        pieces.push((format!("{id:<ID_WIDTH$} "), tone));
    }
    pieces.push((reasons::doc(entry, &scene.live.view).to_owned(), tone));
    if reason.is_none() && argument.is_none() && !entry.argument.is_empty() {
        let taken: usize = pieces.iter().map(|(text, _)| text.chars().count()).sum();
        let hint = format!("  {}", entry.argument);
        if taken + hint.chars().count() <= usize::from(width) {
            pieces.push((hint, Tone::Quiet));
        }
    }
    pieces
}

/// Says why the selected command can't be carried out now, or what may follow its name.
fn more_about(scene: Scene<'_>, entry: &Entry) -> (String, Tone) {
    match scene.ui.disabled_reason(entry.command, scene.live, scene.app) {
        Some(reason) => (format!(" not now: {reason}"), Tone::Warning),
        None if entry.argument.is_empty() => (format!(" {}", entry.id), Tone::Quiet),
        None => (format!(" {} {}", entry.id, entry.argument), Tone::Quiet),
    }
}

fn draw_prompt(scene: Scene<'_>, prompt: &Prompt, area: Rect, buf: &mut Buffer) {
    let (now, range) = prompt.ask.hint(scene.live);
    let (last, tone) = match &prompt.error {
        Some(error) => (error, Tone::Bad),
        None => (&range, Tone::Quiet),
    };
    let wrapped = |text: &str, tone| -> Vec<Pieces> {
        let lines = text.lines().flat_map(|line| wrap(line, usize::from(area.width).max(3) - 2));
        lines.map(|line| vec![(format!(" {line}"), tone)]).collect()
    };
    let value = prompt.input.value();
    let room = usize::from(area.width).saturating_sub(4);
    let skipped = value.chars().count().saturating_sub(room);
    let value: String = value.chars().skip(skipped).collect();
    let mut lines = wrapped(&now, Tone::Quiet);
    lines.resize(lines.len().max(1), Vec::new());
    lines.push(vec![(" > ".to_owned(), Tone::Quiet), (format!("{value}_"), Tone::Accent)]);
    lines.extend(wrapped(last, tone));
    draw_text(&lines, 0, true, scene.theme(), area, buf);
}

fn draw_question(scene: Scene<'_>, question: &Question, area: Rect, buf: &mut Buffer) {
    let mut lines: Vec<Pieces> = wrap(&question.text, usize::from(area.width).saturating_sub(2))
        .into_iter()
        .map(|line| vec![(format!(" {line}"), Tone::Plain)])
        .collect();
    lines.push(Vec::new());
    lines.push(vec![
        (" y".to_owned(), Tone::Accent),
        (" yes   ".to_owned(), Tone::Plain),
        ("n".to_owned(), Tone::Accent),
        (" no".to_owned(), Tone::Plain),
    ]);
    draw_text(&lines, 0, true, scene.theme(), area, buf);
}

fn draw_menu(scene: Scene<'_>, menu: &Menu, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    let width = menu.choices.iter().map(|choice| choice.label.chars().count()).max().unwrap_or(0);
    let top = (menu.selected + 1).saturating_sub(usize::from(area.height));
    for (y, (at, choice)) in (area.y..area.bottom()).zip(menu.choices.iter().enumerate().skip(top))
    {
        let row = Rect { y, height: 1, ..area };
        let pieces = [
            (format!(" {} ", choice.key), Tone::Accent),
            (format!(" {:<width$}  ", choice.label), Tone::Plain),
            (choice.note.clone(), Tone::Quiet),
        ];
        draw_cut(pieces.into(), theme, row, buf);
        if at == menu.selected {
            buf.set_style(row, theme.style(Tone::Selected));
        }
    }
}

/// Returns lines of names and values, the values below each other.
fn named_lines(lines: &[(String, String)]) -> Vec<Pieces> {
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let line = |(name, value): &(String, String)| {
        vec![(format!(" {name:<width$}  "), Tone::Quiet), (value.clone(), Tone::Plain)]
    };
    lines.iter().map(line).collect()
}

fn draw_detail(scene: Scene<'_>, detail: &Detail, area: Rect, buf: &mut Buffer) {
    draw_text(&named_lines(&detail.lines), detail.scroll, true, scene.theme(), area, buf);
}

fn draw_plan(scene: Scene<'_>, plan: &Plan, area: Rect, buf: &mut Buffer) {
    let lines = named_lines(&plan.lines);
    let body = Rect { height: area.height.saturating_sub(2), ..area };
    draw_text(&lines, plan.scroll, false, scene.theme(), body, buf);
    let keys = match (&plan.yes, scene.ui.may_act()) {
        (_, false) => vec![("  this dashboard only looks on".to_owned(), Tone::Quiet)],
        (None, _) => vec![(" Esc".to_owned(), Tone::Accent), (" close".to_owned(), Tone::Plain)],
        (Some(_), _) => vec![
            (" y".to_owned(), Tone::Accent),
            (" apply   ".to_owned(), Tone::Plain),
            ("n".to_owned(), Tone::Accent),
            (" drop it".to_owned(), Tone::Plain),
        ],
    };
    let last = Rect { y: area.bottom().saturating_sub(1), height: 1.min(area.height), ..area };
    draw_pieces(&keys, scene.theme(), last, buf);
}

/// Cells of the longest line of a toast.
const TOAST_WIDTH: usize = 60;

/// Draws what happened last above the key bar, the newest at the bottom: in a box, or where there
/// is no room for one, each on a line that has edges.
fn draw_toasts(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    let room = TOAST_WIDTH.min(usize::from(area.width).saturating_sub(4));
    let mut lines = toast_lines(scene, Class::of(area), room.max(1));
    let widest = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0);
    let has_box = Class::of(area) > Class::Small;
    // A box lies within the border of the panel behind it.
    let (edges, margin) = if has_box { (2, 1) } else { (0, 0) };
    // The head and the key bar stay in sight.
    let height = lines.len().min(usize::from(area.height.saturating_sub(2 + edges + margin)));
    lines.drain(..lines.len() - height);
    let Some((_, newest)) = lines.last() else { return };
    let size = |cells: usize| u16::try_from(cells).unwrap_or(u16::MAX);
    let width = size(widest.min(room) + 4).min(area.width);
    let height = size(height) + edges;
    let window = Rect {
        x: area.right() - width - margin.min(area.width - width),
        y: area.bottom().saturating_sub(1 + margin + height),
        width,
        height,
    };
    clear(window, buf);
    if has_box {
        bordered(theme, *newest, "", window, buf);
    }
    let edge = theme.pick("│", "|");
    for (y, (line, tone)) in (window.y + edges / 2..).zip(&lines) {
        let row = Rect { y, height: 1, ..window };
        let text =
            format!("{edge} {line:<width$} {edge}", width = usize::from(width).saturating_sub(4));
        draw_cut(vec![(text, *tone)], theme, row, buf);
    }
}

/// Returns what happened last in lines; where there is hardly room, the newest in one.
fn toast_lines(scene: Scene<'_>, class: Class, room: usize) -> Vec<(String, Tone)> {
    let shown = if class == Class::Tiny { 1 } else { usize::MAX };
    let toasts = &scene.ui.toasts;
    let newest = toasts.iter().skip(toasts.len().saturating_sub(shown));
    let lines = newest.flat_map(|toast| {
        let tone = match super::alerts::severity_tone(toast.severity) {
            Tone::Plain => Tone::Accent,
            tone => tone,
        };
        let lines = match class {
            Class::Tiny => vec![visible(&toast.text, room)],
            _ => wrap(&toast.text, room),
        };
        lines.into_iter().map(move |line| (line, tone))
    });
    lines.collect()
}

/// Breaks a text into lines of at most `width` characters, between words where that is possible.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is always a line");
        let fits = last.chars().count() + 1 + word.chars().count() <= width;
        if last.is_empty() {
            last.push_str(word);
        } else if fits {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("one", 1), ["one"]);
        assert_eq!(wrap("", 9), [""]);
    }
}
