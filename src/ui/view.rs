//! Draws the whole screen from what is known: changes nothing, asks nobody.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::layout::{self, Class, Panel};
use super::panels::{charts, header, latency, lines, logs, overlays, processes, services, store};
use super::theme::{Theme, Tone};
use super::update::UiState;
use crate::app::state::{AppState, Phase};

/// What every panel draws from.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) ui: &'a UiState,
    pub(crate) app: &'a AppState,
}

impl Scene<'_> {
    pub(crate) fn theme(&self) -> Theme {
        self.ui.theme
    }

    /// Says why a panel has nothing to show.
    pub(crate) fn reason(&self, otherwise: &'static str) -> &'static str {
        match self.app.phase {
            Phase::Starting => "processes are being started",
            Phase::Recovering(None) => "checking the index",
            Phase::Recovering(Some(_)) => "reading an earlier run's log",
            _ => otherwise,
        }
    }

    /// Returns a text with paths in the data directory as short as they may be.
    pub(crate) fn shortened(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.app.run.data_dir), "")
    }
}

/// Draws everything.
pub(crate) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let areas = layout::areas(area, scene.ui.focus, scene.ui.is_zoomed);
    if areas.class == Class::Tiny {
        lines::draw_tiny(scene, areas.lines, buf);
    } else {
        header::draw(scene, areas.header, buf);
        if !areas.lines.is_empty() {
            lines::draw_small(scene, areas.lines, buf);
        }
        for (panel, rect) in areas.panels {
            draw_panel(scene, panel, areas.class, rect, buf);
        }
        store::draw_notices(scene, areas.notices, buf);
        header::draw_keys(scene, areas.keys, buf);
    }
    overlays::draw(scene, area, buf);
    if !scene.theme().is_utf8 {
        to_ascii(buf);
    }
}

/// Replaces what such a terminal can't show, wherever it came from.
fn to_ascii(buf: &mut Buffer) {
    for cell in &mut buf.content {
        if !cell.symbol().is_ascii() {
            let plain = match cell.symbol() {
                "µ" => "u",
                "–" => "-",
                "→" => ">",
                _ => "?",
            };
            cell.set_symbol(plain);
        }
    }
}

fn draw_panel(scene: Scene<'_>, panel: Panel, class: Class, area: Rect, buf: &mut Buffer) {
    let title = match panel {
        Panel::Processes => processes::title(scene),
        Panel::Logs => "Logs".to_owned(),
        Panel::Latency => latency::title(scene, area.width),
        Panel::Services => "Services".to_owned(),
        Panel::Store => "Log on disk".to_owned(),
        Panel::Throughput => charts::throughput_title(scene),
        Panel::Queue => charts::queue_title(scene),
    };
    let inner = frame(scene, panel, &title, class, area, buf);
    if inner.is_empty() {
        return;
    }
    match panel {
        Panel::Processes => processes::draw(scene, inner, buf),
        Panel::Logs => logs::draw(scene, inner, buf),
        Panel::Latency => latency::draw(scene, inner, buf),
        Panel::Services => services::draw(scene, inner, buf),
        Panel::Store => store::draw(scene, inner, buf),
        Panel::Throughput => charts::draw_throughput(scene, inner, buf),
        Panel::Queue => charts::draw_queue(scene, inner, buf),
    }
}

/// Draws a panel's border and title, or only a title line where there is no room for a border,
/// and returns what is inside.
fn frame(
    scene: Scene<'_>,
    panel: Panel,
    title: &str,
    class: Class,
    area: Rect,
    buf: &mut Buffer,
) -> Rect {
    let theme = scene.theme();
    let tone = if scene.ui.focus == panel { Tone::Accent } else { Tone::Quiet };
    if class == Class::Small {
        let rule = theme.pick("─", "-").repeat(usize::from(area.width));
        buf.set_stringn(area.x, area.y, rule, usize::from(area.width), theme.style(Tone::Quiet));
        let title = format!(" {title} ");
        buf.set_stringn(area.x + 1, area.y, title, usize::from(area.width), theme.style(tone));
        return Rect {
            y: area.y + 1.min(area.height),
            height: area.height.saturating_sub(1),
            ..area
        };
    }
    bordered(theme, tone, title, area, buf)
}

/// Draws a border with a title and returns what is inside.
pub(crate) fn bordered(
    theme: Theme,
    tone: Tone,
    title: &str,
    area: Rect,
    buf: &mut Buffer,
) -> Rect {
    if area.width < 2 || area.height < 2 {
        return Rect { width: 0, height: 0, ..area };
    }
    let style = theme.style(tone);
    let [horizontal, vertical] = [theme.pick("─", "-"), theme.pick("│", "|")];
    let (right, bottom) = (area.right() - 1, area.bottom() - 1);
    for x in area.left()..=right {
        buf.set_string(x, area.y, horizontal, style);
        buf.set_string(x, bottom, horizontal, style);
    }
    for y in area.top()..=bottom {
        buf.set_string(area.x, y, vertical, style);
        buf.set_string(right, y, vertical, style);
    }
    for (x, y, utf8) in
        [(area.x, area.y, "┌"), (right, area.y, "┐"), (area.x, bottom, "└"), (right, bottom, "┘")]
    {
        buf.set_string(x, y, theme.pick(utf8, "+"), style);
    }
    if area.width > 6 {
        let room = usize::from(area.width) - 4;
        let title = super::widgets::table::visible(title, room.saturating_sub(2));
        buf.set_string(area.x + 2, area.y, format!(" {title} "), style);
    }
    Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: area.height - 2 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::sync::Arc;

    use super::*;
    use crate::app::state::Severity;
    use crate::ui::testing;
    use crate::ui::update::{Overlay, Question};
    use engine::clock::Time;
    use engine::config::scenario::FsyncPolicy;
    use std::time::Duration;

    /// Returns a screen as text.
    fn screen(ui: &UiState, app: &AppState, width: u16, height: u16) -> String {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        draw(Scene { ui, app }, area, &mut buf);
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
            insta::assert_snapshot!(
                format!("dash_{width}x{height}"),
                screen(&ui, &app, width, height)
            );
        }
    }

    #[test]
    fn latencies_of_a_shorter_time_and_a_gap_that_makes_them_doubtful() {
        let (mut ui, mut app) = (testing::ui(), testing::measured());
        let title = |ui: &UiState, app: &AppState| {
            let screen = screen(ui, app, 120, 40);
            let line = screen.lines().find(|line| line.contains("─ Latency")).unwrap_or_default();
            line.rsplit("┌─ ")
                .next()
                .unwrap_or_default()
                .trim_end_matches(['─', '┐', ' '])
                .to_owned()
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
    fn what_lies_over_the_dashboard() {
        let (mut ui, app) = (testing::ui(), testing::app());
        let worker = app.processes[2].id;
        ui.overlay = Some(Overlay::Confirm(Question::Kill(worker)));
        insta::assert_snapshot!("confirm", screen(&ui, &app, 80, 24));
        ui.overlay = Some(Overlay::Help { scroll: 0 });
        insta::assert_snapshot!("help", screen(&ui, &app, 80, 24));
        ui.overlay = None;
        ui.say(Severity::Warning, "the run is ending", Time(0));
        ui.is_zoomed = true;
        insta::assert_snapshot!("zoomed_with_toast", screen(&ui, &app, 80, 24));
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
                let second = screen.lines().nth(1).unwrap_or_default();
                assert!(second.starts_with(line), "{width}: {second}");
            }
        };
        check(" INDEX behind, tickets go on: cannot write log/next.tmp: Disk quota ex", &|app| {
            app.store.index_trouble.clone_from(&behind);
        });
        check(
            " DISK, little room left: cannot write log/next.tmp: No space left on device",
            &|app| {
                app.store.trouble.clone_from(&full);
            },
        );
        check(" DISK, intake paused: cannot write log/next.tmp: No space left on device", &|app| {
            app.store.is_blocked = true;
        });
        check(" FAILED: cannot sync log/next.tmp: Input/output error (os error 5)", &|app| {
            app.failure.clone_from(&broken);
        });
    }

    #[test]
    fn the_log_on_disk_at_every_size() {
        let mut ui = testing::ui();
        ui.focus = Panel::Store;
        let healthy = testing::app();
        let mut hurt = testing::app();
        hurt.store.recovery = Some(testing::hurt());
        hurt.store.index_trouble =
            Some("cannot write index/data.mdb: No space left on device".to_owned());
        hurt.failure = Some(format!(
            "cannot sync {}/log/0000000000001000.seg: Input/output error (os error 5)",
            hurt.run.data_dir
        ));
        for (width, height, is_zoomed) in
            [(160, 45, false), (120, 40, false), (80, 24, false), (80, 24, true), (50, 15, false)]
        {
            ui.is_zoomed = is_zoomed;
            for (name, app) in [("whole", &healthy), ("hurt", &hurt)] {
                let areas = layout::areas(Rect::new(0, 0, width, height), ui.focus, is_zoomed);
                let shown = areas.panels.iter().find(|(panel, _)| *panel == Panel::Store);
                let (_, area) = shown.expect("the focused panel is shown");
                let rows = screen(&ui, app, width, height);
                let rows = rows.lines().skip(usize::from(area.y)).take(usize::from(area.height));
                let columns = usize::from(area.x)..usize::from(area.right());
                let cut = |row: &str| -> String {
                    row.chars().skip(columns.start).take(columns.len()).collect()
                };
                let zoom = if is_zoomed { "_zoomed" } else { "" };
                insta::assert_snapshot!(
                    format!("store_{name}_{width}x{height}{zoom}"),
                    rows.map(cut).collect::<Vec<_>>().join("\n")
                );
            }
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
            ui.focus = Panel::Store;
            (app.run.fsync, app.run.power_loss_takes) = (fsync.clone(), takes);
            for (width, height) in [(160, 45), (120, 40), (80, 24)] {
                let screen = screen(&ui, &app, width, height);
                let is_whole = |line: &str| line.contains("│power loss ") && line.contains(takes);
                assert!(screen.lines().any(is_whole), "{fsync} at {width}x{height}:\n{screen}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_key_and_no_size_breaks_the_screen(
            keys in prop::collection::vec(0usize..200, 0..40),
            width in 0u16..300,
            height in 0u16..100,
            is_starting: bool,
        ) {
            let app = if is_starting { testing::starting() } else { testing::app() };
            let mut ui = testing::ui();
            for key in keys {
                ui.key(testing::key(key), &app, Time(1));
            }
            screen(&ui, &app, width, height);
        }
    }
}
