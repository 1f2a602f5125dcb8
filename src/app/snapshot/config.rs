//! What a snapshot shows of the configuration, of wishes to change it, and of goals.

use std::sync::Arc;

use engine::config::scenario::Slo;

use super::Album;
use crate::app::conf::{ANSWERS_MAX, Answer, Conf, PendingReload};

impl Album {
    /// Takes over another configuration.
    pub(crate) fn configure(&mut self, conf: &Conf) {
        let run = &conf.scenario().run;
        (self.facts.duration, self.facts.drain) = (run.duration, run.drain);
        self.conf_text = conf.shown().to_ini().into();
        self.conf = conf.rows();
        self.seating = conf.seating();
    }

    /// Judges other goals from now on; returns the services of which single seconds must be known.
    pub(crate) fn set_goals(&mut self, slos: &[Slo]) -> Vec<usize> {
        self.watch.set_goals(slos);
        self.slos = self.watch.rows(&self.tally.figures, false);
        self.watched_services()
    }

    /// Returns the services of which single seconds must be known.
    pub(crate) fn watched_services(&self) -> Vec<usize> {
        self.watch.services()
    }

    /// Keeps what became of a wish to change the configuration.
    pub(crate) fn answer(&mut self, answer: Answer) {
        let answers = Arc::make_mut(&mut self.answers);
        if answers.len() == ANSWERS_MAX {
            answers.remove(0);
        }
        answers.push(answer);
    }

    /// Shows a scenario that waits for a yes or no, or none.
    pub(crate) fn propose(&mut self, reload: Option<Arc<PendingReload>>) {
        self.reload = reload;
    }

    /// Returns what is shown of it.
    pub(crate) fn proposed(&self) -> Option<&PendingReload> {
        self.reload.as_deref()
    }
}
