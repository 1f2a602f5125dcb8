//! The log lines of all processes, newest at the bottom.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;
use tui_logger::{TuiLoggerLevelOutput, TuiLoggerWidget};

use crate::ui::theme::Tone;
use crate::ui::view::Scene;

/// Draws what fits.
pub(crate) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme();
    TuiLoggerWidget::default()
        .style_error(theme.style(Tone::Bad))
        .style_warn(theme.style(Tone::Warning))
        .style_info(theme.style(Tone::Plain))
        .style_debug(theme.style(Tone::Quiet))
        .style_trace(theme.style(Tone::Quiet))
        .output_separator(' ')
        .output_timestamp(Some("%H:%M:%S".to_owned()))
        .output_level(Some(TuiLoggerLevelOutput::Long))
        .output_target(true)
        .output_file(false)
        .output_line(false)
        .render(area, buf);
}
