//! What differs between two scenarios, and what it takes to go from one to the other.
//!
//! Values are compared by their meaning, so `1s` and `1000ms` are the same. A section that is only
//! on one side is one difference, whatever is in it.

use super::effective::{Effective, Row};
use super::parse::{Assignment, Origin};
use super::schema::{ANY, Change, Draft, DraftLoad, DraftService, kind_of};

/// What differs, in the order in which files show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// One for each key, or for each section that is only on one side.
    pub changes: Vec<Difference>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The section.
    pub section: String,
    /// The name in the section; `None` is the section as a whole.
    pub key: Option<String>,
    /// The value on the old side as a file spells it; `None` where nobody gives one.
    pub old: Option<String>,
    /// The value on the new side.
    pub new: Option<String>,
    /// Who gave the old value.
    pub old_origin: Origin,
    /// Who gives the new one.
    pub new_origin: Origin,
    /// What holds where nobody gives one; empty for a section.
    pub default: &'static str,
    /// What it takes to apply it.
    pub needs: Change,
}

impl Difference {
    /// Returns what it is about: `office.room`, or `[load.rush]`.
    pub fn name(&self) -> String {
        match &self.key {
            Some(key) => format!("{}.{key}", self.section),
            None => format!("[{}]", self.section),
        }
    }

    /// Returns what must be assigned to come to the new side, and who wants it; `None` for a
    /// section.
    pub fn assignment(&self) -> Option<(Assignment, Origin)> {
        let (section, key) = (self.section.clone(), self.key.clone()?);
        Some((Assignment { section, key, value: self.new.clone() }, self.new_origin.clone()))
    }
}

impl Plan {
    /// Returns whether both sides mean the same.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Returns what differs between two scenarios.
pub fn diff(old: &Effective, new: &Effective) -> Plan {
    let mut changes = Vec::new();
    for row in old.rows().filter(|row| row.key.name != ANY) {
        match new.row(row.section, row.name) {
            Some(other) => changes.extend(compare(row, other, old, new)),
            None => changes.extend(whole(&changes, row, true)),
        }
    }
    for row in new.rows().filter(|row| row.key.name != ANY) {
        if old.row(row.section, row.name).is_none() {
            changes.extend(whole(&changes, row, false));
        }
    }
    compare_named(old, new, &mut changes);
    changes.extend(["service.*", "load.*"].iter().filter_map(|kind| compare_order(old, new, kind)));
    changes.sort_by_key(|change| place(change, old, new));
    Plan { changes }
}

/// Where a change stands among the rows of both sides.
fn place(change: &Difference, old: &Effective, new: &Effective) -> (usize, usize) {
    let stands = |side: &Effective| {
        let is_it = |row: Row<'_>| {
            row.section == change.section && change.key.as_ref().is_none_or(|key| key == row.name)
        };
        side.rows().position(is_it)
    };
    let (old, new) = (stands(old), stands(new));
    (old.or(new).unwrap_or(usize::MAX), new.unwrap_or(0))
}

fn compare(
    old: Row<'_>,
    new: Row<'_>,
    before: &Effective,
    after: &Effective,
) -> Option<Difference> {
    if is_same(old, new.value) {
        return None;
    }
    let given = |row: Row<'_>| row.value.map(str::to_owned);
    Some(Difference {
        section: old.section.to_owned(),
        key: Some(old.name.to_owned()),
        old: given(old),
        new: given(new),
        old_origin: old.origin.clone(),
        new_origin: new.origin.clone(),
        default: old.key.default,
        needs: needs(old, before, after),
    })
}

/// Returns what a change of a key takes: what the schema says, unless the load is another one
/// afterwards, or it is open: which of its users take turns is settled when it begins.
fn needs(row: Row<'_>, before: &Effective, after: &Effective) -> Change {
    if row.key.section != "load.*" {
        return row.key.change;
    }
    let model = |side: &'_ Effective| {
        let model = side.row(row.section, "model");
        model.and_then(|row| row.value).unwrap_or("closed").to_owned()
    };
    let (old, new) = (model(before), model(after));
    if old != new || (old == "open" && row.name == "users") {
        Change::Restart
    } else {
        row.key.change
    }
}

/// Compares keys that people name.
fn compare_named(old: &Effective, new: &Effective, changes: &mut Vec<Difference>) {
    let named = |side: &'_ Effective| -> Vec<(String, String)> {
        let rows = side.rows().filter(|row| row.key.name == ANY && row.value.is_some());
        rows.map(|row| (row.section.to_owned(), row.name.to_owned())).collect()
    };
    let mut names = named(old);
    names.extend(named(new));
    names.sort();
    names.dedup();
    for (section, name) in names {
        let (before, after) = (old.row(&section, &name), new.row(&section, &name));
        let value = |row: Option<Row<'_>>| row.and_then(|row| row.value).map(str::to_owned);
        let origin = |row: Option<Row<'_>>| row.map_or(Origin::Default, |row| row.origin.clone());
        let Some(any) = before.or(after) else { continue };
        if value(before) == value(after) {
            continue;
        }
        changes.push(Difference {
            old: value(before),
            new: value(after),
            old_origin: origin(before),
            new_origin: origin(after),
            default: any.key.default,
            needs: any.key.change,
            section,
            key: Some(name),
        });
    }
}

/// Returns the difference of a section that is only on one side, once.
fn whole(known: &[Difference], row: Row<'_>, is_old: bool) -> Option<Difference> {
    let is_known = |change: &Difference| change.section == row.section && change.key.is_none();
    if known.iter().any(is_known) {
        return None;
    }
    let there = Some("there".to_owned());
    let (old, new) = if is_old { (there, None) } else { (None, there) };
    Some(section_difference(row.section, old, new))
}

/// Returns the difference if the sections of a kind that are on both sides change places.
fn compare_order(old: &Effective, new: &Effective, kind: &str) -> Option<Difference> {
    let names = |side: &Effective, other: &Effective| {
        let mut names: Vec<String> = Vec::new();
        for row in side.rows().filter(|row| kind_of(row.section) == kind) {
            let is_new = names.last().is_none_or(|last| last != row.section);
            if is_new && other.rows().any(|known| known.section == row.section) {
                names.push(row.section.to_owned());
            }
        }
        names
    };
    let (before, after) = (names(old, new), names(new, old));
    (before != after)
        .then(|| section_difference(kind, Some(before.join(", ")), Some(after.join(", "))))
}

fn section_difference(section: &str, old: Option<String>, new: Option<String>) -> Difference {
    Difference {
        section: section.to_owned(),
        key: None,
        old,
        new,
        old_origin: Origin::Default,
        new_origin: Origin::Default,
        default: "",
        needs: Change::Restart,
    }
}

/// Returns whether two spellings of a key's value mean the same.
fn is_same(row: Row<'_>, other: Option<&str>) -> bool {
    if row.value == other {
        return true;
    }
    let read = |value: Option<&str>| {
        let mut draft = Draft { services: vec![DraftService::new("")], ..Draft::default() };
        draft.loads.push(DraftLoad::new(""));
        // What stands in a scenario was read before.
        value.is_none_or(|value| (row.key.read)(&mut draft, 0, value).is_ok()).then_some(draft)
    };
    matches!((read(row.value), read(other)), (Some(own), Some(other)) if own == other)
}

#[cfg(test)]
mod tests {
    use super::super::parse::{Source, parse};
    use super::super::schema::Role;
    use super::*;

    fn effective(text: &str) -> Effective {
        let source =
            Source { name: "x.ini".to_owned(), title: "x".to_owned(), text: text.to_owned() };
        parse(&source, &[]).unwrap_or_else(|errors| panic!("{text}: {errors}"))
    }

    /// Makes sure that two files differ in exactly this: name, old, new, what it takes.
    fn check(old: &str, new: &str, wanted: &[(&str, &str, &str, Change)]) {
        let plan = diff(&effective(old), &effective(new));
        let found: Vec<_> = (plan.changes.iter())
            .map(|change| {
                let text = |value: &Option<String>| value.clone().unwrap_or("-".to_owned());
                (change.name(), text(&change.old), text(&change.new), change.needs)
            })
            .collect();
        let wanted: Vec<_> = (wanted.iter())
            .map(|&(name, old, new, needs)| {
                (name.to_owned(), old.to_owned(), new.to_owned(), needs)
            })
            .collect();
        assert_eq!(found, wanted, "{old}\n->\n{new}");
    }

    #[test]
    fn keys_tell_what_their_change_takes() {
        check(
            "[office]\nworkers = 3\nroom = 50\n[run]\nseed = 1",
            "[office]\nworkers = 4\nroom = 60\nretry = 2, tail\n[run]\nseed = 2\n[service.a]\nwork = spin",
            &[
                ("run.seed", "1", "2", Change::Restart),
                ("office.workers", "3", "4", Change::Live),
                ("office.room", "50", "60", Change::Role(Role::Issuer)),
                ("office.retry", "-", "2, tail", Change::Role(Role::Issuer)),
                ("[service.counter]", "there", "-", Change::Restart),
                ("[service.a]", "-", "there", Change::Restart),
            ],
        );
        check(
            "[storage]\nfsync = none",
            "[storage]\nfsync = each_batch\nretain = 2GiB\ncompression = lz4",
            &[
                ("storage.fsync", "none", "each_batch", Change::Live),
                ("storage.retain", "-", "2GiB", Change::Live),
                ("storage.compression", "-", "lz4", Change::Role(Role::Issuer)),
            ],
        );
    }

    #[test]
    fn another_spelling_is_no_change() {
        check("[run]\nduration = 1s\ndrain = 10s", "[run]\nduration = 1000ms", &[]);
        check("[storage]\nretain = 1024MiB", "# nothing\n[storage]\n", &[]);
        check("[service.a]\ntime = det 5ms", "[service.a]\ntime=5ms ; the same", &[]);
    }

    #[test]
    fn a_load_of_another_model_is_another_load() {
        check(
            "[load.a]\nusers = 4\nthink = 1s",
            "[load.a]\nusers = 5\nmodel = open\nrate = det 5/s",
            &[
                ("load.a.model", "-", "open", Change::Restart),
                ("load.a.users", "4", "5", Change::Restart),
                ("load.a.rate", "-", "det 5/s", Change::Restart),
                ("load.a.think", "1s", "-", Change::Restart),
            ],
        );
        check(
            "[load.a]\nusers = 4",
            "[load.a]\nusers = 5",
            &[("load.a.users", "4", "5", Change::Live)],
        );
        let open = "[load.a]\nmodel = open\nrate = det 5/s\nusers = ";
        let wanted = ("load.a.users", "4", "5", Change::Restart);
        check(&format!("{open}4"), &format!("{open}5"), &[wanted]);
    }

    #[test]
    fn sections_that_change_places_are_told() {
        check(
            "[service.a]\n[service.b]",
            "[service.b]\n[service.a]",
            &[("[service.*]", "service.a, service.b", "service.b, service.a", Change::Restart)],
        );
    }

    #[test]
    fn goals_come_go_and_change_live() {
        check(
            "[slo]\nfast = p99(wait) < 5ms\nloss = reject = 0",
            "[slo]\nfast = p99(wait) < 6ms\nmore = throughput > 9/s",
            &[
                ("slo.fast", "p99(wait) < 5ms", "p99(wait) < 6ms", Change::Live),
                ("slo.loss", "reject = 0", "-", Change::Live),
                ("slo.more", "-", "throughput > 9/s", Change::Live),
            ],
        );
        check("", "[slo]\na = reject = 0", &[("slo.a", "-", "reject = 0", Change::Live)]);
    }

    #[test]
    fn all_assignments_together_lead_to_the_other_side() {
        let (old, new) = (
            effective("[office]\nroom = 50\n[slo]\na = reject = 0"),
            effective("[office]\nworkers = 9\n[storage]\nfsync = none\n[slo]\nb = reject = 0"),
        );
        let changes: Vec<_> =
            diff(&old, &new).changes.iter().filter_map(Difference::assignment).collect();
        let changed = old.with(&changes).unwrap();
        assert_eq!(changed.scenario, new.scenario);
        assert!(diff(&changed, &new).is_empty());
        assert!(changed.to_ini().contains("; x.ini:2"), "{}", changed.to_ini());
    }
}
