//! Changing the configuration from outside: `set` and `reload`.
//!
//! | request | reply |
//! | --- | --- |
//! | `{"do":"set","set":["office.room=500"]}` | `changes`, `snapshot`: all keys or none |
//! | `{"do":"reload"}`, `{"do":"reload","dry_run":true}` | the same |
//!
//! `changes` has, for each key that differs, `key`, `old`, `new`, `needs` (`live`, `role (issuer)`,
//! `role (workers)`, `restart`) and `fate`: `applied`, `needs_new_run` (it was left as it is),
//! `kept_live` (it was changed live, and the file was not), or `proposed` in a dry run. Roles that
//! must start again do so after the reply. `fsync` is the policy whose promise holds then.
//!
//! With a dashboard, a reload by signal waits for a person; `status` then has it as `reload`, with
//! `source`, and `changes` or `error`.
//!
//! A mistake in a key, a value or the file is `"ok":false,"usage":true`; then nothing was changed.

use std::sync::Arc;

use engine::clock::{Clock, SystemClock};
use engine::config::Assignment;
use engine::config::scenario::FsyncPolicy;
use serde_json::{Map, Value, json};

use super::{Desk, Refused};
use crate::app::action::{Action, Ask, ReloadMode};
use crate::app::conf::{ChangeRow, Fate, PendingReload};
use crate::app::state::AppState;

/// A wish to change the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Set(Vec<Assignment>),
    Reload(ReloadMode),
}

/// The verbs, as a refusal lists them.
pub(super) const VERBS: &str = "set, reload";

impl Change {
    /// Reads a request; `None` if the verb is another one's.
    pub(super) fn read(verb: &str, keys: &mut Map<String, Value>) -> Option<Result<Self, String>> {
        match verb {
            "set" => Some(assignments(keys).map(Self::Set)),
            "reload" => Some(mode(keys).map(Self::Reload)),
            _ => None,
        }
    }
}

fn assignments(keys: &mut Map<String, Value>) -> Result<Vec<Assignment>, String> {
    let expected = || "set must be a list of SECTION.KEY=VALUE".to_owned();
    let Some(Value::Array(list)) = keys.remove("set") else { return Err(expected()) };
    let read = |text: &Value| Assignment::read(text.as_str().ok_or_else(expected)?);
    let list = list.iter().map(read).collect::<Result<Vec<_>, String>>()?;
    if list.is_empty() { Err(expected()) } else { Ok(list) }
}

fn mode(keys: &mut Map<String, Value>) -> Result<ReloadMode, String> {
    match keys.remove("dry_run") {
        None | Some(Value::Bool(false)) => Ok(ReloadMode::Apply),
        Some(Value::Bool(true)) => Ok(ReloadMode::DryRun),
        Some(_) => Err("dry_run must be true or false".to_owned()),
    }
}

impl Desk {
    pub(super) fn change(&self, change: Change) -> Result<Value, Refused> {
        let ask = Ask::next();
        let action = match change {
            Change::Set(changes) => Action::Set { changes, ask },
            Change::Reload(mode) => Action::Reload { mode, ask },
        };
        let state = self.act(action, |state| state.answer_to(ask).is_some())?;
        let outcome = state.answer_to(ask).cloned();
        let rows = outcome
            .unwrap_or_else(|| Ok(Vec::new()))
            .map_err(|refusal| Refused { text: refusal.text, is_usage: refusal.is_usage })?;
        let state = self.wait_for_promise(state, &rows);
        Ok(json!({
            "changes": rows.iter().map(row_json).collect::<Vec<_>>(),
            "fsync": state.run.fsync,
            "snapshot": state.number,
        }))
    }

    /// Waits a little until a changed policy holds for all that was acknowledged.
    fn wait_for_promise(&self, state: Arc<AppState>, rows: &[ChangeRow]) -> Arc<AppState> {
        let is_changed =
            rows.iter().any(|row| row.key == "storage.fsync" && row.fate == Fate::Applied);
        let row = state.conf.iter().find(|row| row.section == "storage" && row.key == "fsync");
        let wanted = row.map(|row| row.value.clone().unwrap_or_else(|| row.default.clone()));
        let wanted = wanted.and_then(|text| FsyncPolicy::read(&text));
        if !is_changed {
            return state;
        }
        let holds = |state: &AppState| FsyncPolicy::read(&state.run.fsync) == wanted;
        let waited = self.office.wait_for(SystemClock.now() + self.effect_within, holds);
        waited.unwrap_or_else(|newest| newest)
    }
}

/// Returns a scenario that was read again and waits for somebody at the dashboard.
pub(super) fn pending_json(pending: &PendingReload) -> Value {
    let (changes, error) = match &pending.outcome {
        Ok(rows) => (json!(rows.iter().map(row_json).collect::<Vec<_>>()), Value::Null),
        Err(error) => (Value::Null, json!(error)),
    };
    json!({ "source": pending.source, "changes": changes, "error": error })
}

fn row_json(row: &ChangeRow) -> Value {
    json!({
        "key": row.key,
        "old": row.old,
        "new": row.new,
        "needs": row.needs.name(),
        "fate": match row.fate {
            Fate::Proposed => "proposed",
            Fate::Applied => "applied",
            Fate::NeedsNewRun => "needs_new_run",
            Fate::KeptLive => "kept_live",
        },
        "text": row.text(),
    })
}
