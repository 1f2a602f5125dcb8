//! Keys: how they are told apart, written for people, and read from preferences.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key with its modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// A character as typed: shift is part of it.
    Char(char),
    /// A letter while Control is held.
    Ctrl(char),
    /// A key that types nothing.
    Named(KeyCode),
}

/// Keys that type nothing, or nothing that can be seen, and their names.
const NAMES: [(KeyCode, &str); 15] = [
    (KeyCode::Enter, "Enter"),
    (KeyCode::Esc, "Esc"),
    (KeyCode::Tab, "Tab"),
    (KeyCode::BackTab, "Shift-Tab"),
    (KeyCode::Up, "Up"),
    (KeyCode::Down, "Down"),
    (KeyCode::Left, "Left"),
    (KeyCode::Right, "Right"),
    (KeyCode::PageUp, "PgUp"),
    (KeyCode::PageDown, "PgDn"),
    (KeyCode::Home, "Home"),
    (KeyCode::End, "End"),
    (KeyCode::Backspace, "Backspace"),
    (KeyCode::Delete, "Delete"),
    (KeyCode::F(1), "F1"),
];

impl Key {
    /// Returns the key of an event, if it is one that can mean something.
    pub(crate) fn of(event: KeyEvent) -> Option<Self> {
        let is_ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        if event.modifiers.contains(KeyModifiers::ALT) {
            return None;
        }
        match event.code {
            // Terminals send one byte for both.
            KeyCode::Char('7' | '/') if is_ctrl => Some(Self::Ctrl('_')),
            KeyCode::Char(char) if is_ctrl => Some(Self::Ctrl(char.to_ascii_lowercase())),
            KeyCode::Char(char) => Some(Self::Char(char)),
            KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => {
                Some(Self::Named(KeyCode::BackTab))
            }
            code => Some(Self::Named(code)),
        }
    }

    /// Reads a key as [`fmt::Display`] writes it; `None` if it names none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let named = NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
        if let Some((code, _)) = named {
            return Some(Self::Named(*code));
        }
        if text.eq_ignore_ascii_case("space") {
            return Some(Self::Char(' '));
        }
        let only = |text: &str| {
            let mut chars = text.chars();
            chars.next().filter(|char| chars.next().is_none() && !char.is_control())
        };
        match text.get(..5).filter(|start| start.eq_ignore_ascii_case("ctrl-")) {
            Some(_) => only(&text[5..]).map(|char| Self::Ctrl(char.to_ascii_lowercase())),
            None => only(text).map(Self::Char),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(' ') => f.write_str("Space"),
            Self::Char(char) => write!(f, "{char}"),
            Self::Ctrl(char) => write!(f, "Ctrl-{char}"),
            Self::Named(code) => {
                let name = NAMES.iter().find(|(known, _)| known == code);
                match name {
                    Some((_, name)) => f.write_str(name),
                    None => write!(f, "{code}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let named = NAMES.iter().map(|(code, _)| Key::Named(*code));
        let chars = (' '..='~')
            .flat_map(|char| [Key::Char(char), Key::Ctrl(char.to_ascii_lowercase())].into_iter());
        for key in named.chain(chars.filter(|key| *key != Key::Ctrl(' '))) {
            assert_eq!(Key::parse(&key.to_string()), Some(key), "{key}");
        }
        for text in ["", "Ctrl-", "xy", "Hyper-x", "\u{1b}"] {
            assert_eq!(Key::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn modifiers_tell_keys_apart() {
        let event = |code, modifiers| Key::of(KeyEvent::new(code, modifiers));
        let z = KeyCode::Char('z');
        assert_eq!(event(z, KeyModifiers::NONE), Some(Key::Char('z')));
        assert_eq!(event(z, KeyModifiers::CONTROL), Some(Key::Ctrl('z')));
        assert_eq!(event(KeyCode::Char('Q'), KeyModifiers::SHIFT), Some(Key::Char('Q')));
        assert_eq!(event(KeyCode::Char('7'), KeyModifiers::CONTROL), Some(Key::Ctrl('_')));
        let back = Some(Key::Named(KeyCode::BackTab));
        assert_eq!(event(KeyCode::Tab, KeyModifiers::SHIFT), back);
        assert_eq!(event(KeyCode::BackTab, KeyModifiers::SHIFT), back);
    }
}
