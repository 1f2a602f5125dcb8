//! What tests of the dashboard start from, beside the fixed offices of the app's own tests.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::UiState;
use super::options::Options;
use super::preferences::Choices;
use super::registry::Keymap;
use super::theme::{Depth, Theme};
pub(crate) use crate::app::testing::{app, hurt, measured, starting};
use crate::app::view_args::{ThemeName, ViewArgs};

pub(crate) fn ui() -> UiState {
    let options = Options::new(&ViewArgs::default(), &Choices::default(), |_| None);
    let theme = Theme::new(ThemeName::Auto, Depth::Sixteen, true);
    UiState::new(&Options { theme, ..options }, Keymap::default())
}

/// Returns one of all sorts of keys.
pub(crate) fn key(number: usize) -> KeyEvent {
    let special = [
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Tab,
        KeyCode::BackTab,
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::PageDown,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::Backspace,
    ];
    let char = |number: usize| char::from(u8::try_from(32 + number % 95).unwrap());
    match number {
        0..95 => KeyEvent::from(KeyCode::Char(char(number))),
        95..190 => KeyEvent::new(KeyCode::Char(char(number)), KeyModifiers::CONTROL),
        number => KeyEvent::from(special[number % special.len()]),
    }
}
