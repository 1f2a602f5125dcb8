//! What each key does: the registry's keys, and what a person made of them in the preferences.

use std::collections::{BTreeMap, HashMap};

use super::key::Key;
use super::registry::{Command, REGISTRY, by_id, entry_of};

/// What each key does: the registry's keys, and what a person made of them.
#[derive(Clone, Debug)]
pub(crate) struct Keymap {
    /// Keys that mean something always, and those that mean something while frozen.
    live: HashMap<Key, Command>,
    frozen: HashMap<Key, Command>,
    /// The keys of each command that a person gave others.
    changed: BTreeMap<Command, Vec<Key>>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self::new(BTreeMap::new())
    }
}

impl Keymap {
    fn new(changed: BTreeMap<Command, Vec<Key>>) -> Self {
        let mut map = Self { live: HashMap::new(), frozen: HashMap::new(), changed };
        for entry in REGISTRY {
            let place = if entry.is_for_frozen { &mut map.frozen } else { &mut map.live };
            // What a person chose counts more than what a key usually means.
            if !map.changed.contains_key(&entry.command) {
                for key in entry.keys {
                    place.insert(*key, entry.command);
                }
            }
        }
        for entry in REGISTRY {
            let place = if entry.is_for_frozen { &mut map.frozen } else { &mut map.live };
            for key in map.changed.get(&entry.command).into_iter().flatten() {
                place.insert(*key, entry.command);
            }
        }
        map
    }

    /// Reads lines such as `pause = p, Ctrl-s`: the keys that a command has instead of its usual
    /// ones. Returns what could not be read, to be told; the rest holds.
    pub(crate) fn read<'a>(
        lines: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> (Self, Vec<String>) {
        let (mut changed, mut problems) = (BTreeMap::new(), Vec::new());
        let mut taken: HashMap<(bool, Key), &str> = HashMap::new();
        for (id, keys) in lines {
            let Some(entry) = by_id(id) else {
                problems.push(format!("[keys] {id}: there is no such command; see: keys"));
                continue;
            };
            let mut good = Vec::new();
            for text in keys.split(',').map(str::trim).filter(|text| !text.is_empty()) {
                let Some(key) = Key::parse(text) else {
                    problems.push(format!("[keys] {id}: {text:?} is no key; like: p, Ctrl-s, F1"));
                    continue;
                };
                match taken.insert((entry.is_for_frozen, key), id) {
                    Some(other) if other != id => {
                        problems.push(format!("[keys] {id}: {key} is given to {other} too"));
                    }
                    _ => good.push(key),
                }
            }
            // A line of which nothing can be read changes nothing.
            if keys.trim().is_empty() || !good.is_empty() {
                changed.insert(entry.command, good);
            }
        }
        // Without a way out nobody gets far.
        if changed.get(&Command::Quit).is_some_and(Vec::is_empty) {
            problems.push("[keys] quit: it needs a key".to_owned());
            changed.remove(&Command::Quit);
        }
        (Self::new(changed), problems)
    }

    /// Returns what a key does while no overlay takes keys.
    pub(crate) fn command(&self, key: Key, is_frozen: bool) -> Option<Command> {
        let frozen = is_frozen.then(|| self.frozen.get(&key)).flatten();
        frozen.or_else(|| self.live.get(&key)).copied()
    }

    /// Returns the keys of a command, the usual one first.
    pub(crate) fn keys(&self, command: Command) -> Vec<Key> {
        let entry = entry_of(command);
        let keys = self.changed.get(&command).map_or(entry.keys, Vec::as_slice);
        let place = if entry.is_for_frozen { &self.frozen } else { &self.live };
        keys.iter().copied().filter(|key| place.get(key) == Some(&command)).collect()
    }

    /// Returns the keys of a command as people read them: `k Up`.
    pub(crate) fn keys_text(&self, command: Command) -> String {
        let keys: Vec<String> = self.keys(command).iter().map(Key::to_string).collect();
        keys.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyCode;

    use super::*;

    fn char(char: char) -> Key {
        Key::Char(char)
    }

    #[test]
    fn frozen_keys_mean_something_else_only_while_frozen() {
        let map = Keymap::default();
        let end = Key::Named(KeyCode::End);
        assert_eq!(map.command(end, false), Some(Command::Last));
        assert_eq!(map.command(end, true), Some(Command::Live));
        assert_eq!(map.command(char('p'), true), Some(Command::PauseResume));
    }

    #[test]
    fn people_give_commands_other_keys() {
        let (map, problems) = Keymap::read([("pause", "P, Ctrl-s"), ("zoom", "p")]);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(map.command(char('P'), false), Some(Command::PauseResume));
        assert_eq!(map.command(char('p'), false), Some(Command::Zoom));
        assert_eq!(map.keys_text(Command::PauseResume), "P Ctrl-s");
        // A key that was taken away is no longer shown as one of the old command.
        let (map, _) = Keymap::read([("zoom", "q")]);
        assert_eq!(map.keys(Command::Quit), []);
        assert_eq!(map.command(Key::Ctrl('c'), false), Some(Command::Interrupt));
    }

    #[test]
    fn what_can_not_be_read_is_told_and_the_rest_holds() {
        let lines =
            [("pause", "F99"), ("nothing", "x"), ("zoom", "y"), ("copy", "y"), ("quit", "")];
        let (map, problems) = Keymap::read(lines);
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert_eq!(map.command(char('y'), false), Some(Command::Zoom));
        assert_eq!(map.command(char('q'), false), Some(Command::Quit));
    }
}
