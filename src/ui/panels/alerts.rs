//! What people should know, the newest first.

use super::{Pieces, goals};
use crate::app::state::{Notice, Severity};
use crate::ui::theme::Tone;
use crate::ui::view::Scene;

/// Returns the head, with how many nobody has taken note of.
pub(crate) fn title(scene: Scene<'_>) -> String {
    let missed = goals::alerts(scene.app).len();
    match fresh(scene).count() + missed {
        0 => "Alerts".to_owned(),
        fresh => format!("Alerts {fresh}  a acknowledges"),
    }
}

/// Returns what is worth a look and nobody has taken note of.
pub(crate) fn fresh(scene: Scene<'_>) -> impl Iterator<Item = &Notice> {
    let since = scene.ui.acknowledged;
    let is_fresh = move |notice: &&Notice| notice.severity > Severity::Info && notice.wall > since;
    scene.app.notices.iter().filter(is_fresh)
}

/// Returns a line for each.
pub(crate) fn lines(scene: Scene<'_>) -> Vec<Pieces> {
    let missed = goals::alerts(scene.app);
    if scene.app.notices.is_empty() && missed.is_empty() {
        let text = "nothing out of the ordinary has happened".to_owned();
        return vec![vec![(text, Tone::Quiet)]];
    }
    let line = |notice: &Notice| {
        let tone = match severity_tone(notice.severity) {
            Tone::Plain => Tone::Plain,
            _ if notice.wall <= scene.ui.acknowledged => Tone::Quiet,
            tone => tone,
        };
        let text = scene.shortened(&notice.text);
        vec![(format!("{}  ", notice.wall), Tone::Quiet), (text, tone)]
    };
    missed.into_iter().chain(scene.app.notices.iter().rev().map(line)).collect()
}

/// Returns how a severity looks.
pub(crate) fn severity_tone(severity: Severity) -> Tone {
    match severity {
        Severity::Info => Tone::Plain,
        Severity::Warning => Tone::Warning,
        Severity::Error => Tone::Bad,
    }
}
