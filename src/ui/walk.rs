//! Where keys that walk lead to, written once: in lists the selected row moves, in texts the first
//! line that is shown.

use super::registry::Command;

/// Returns where a command leads from a place, the last of which is `last`; a page has `page` rows.
/// `None` if the command does not walk.
pub(super) fn walked(from: usize, command: Command, last: usize, page: usize) -> Option<usize> {
    let from = from.min(last);
    let (half, page) = ((page / 2).max(1), page.max(1));
    let to = match command {
        Command::Up => from.saturating_sub(1),
        Command::Down => from + 1,
        Command::HalfPageUp => from.saturating_sub(half),
        Command::HalfPageDown => from + half,
        Command::PageUp => from.saturating_sub(page),
        Command::PageDown => from + page,
        Command::First => 0,
        Command::Last => last,
        _ => return None,
    };
    Some(to.min(last))
}

/// Returns the first line that is shown of a text in a window of some height after a command.
pub(super) fn scrolled(first: usize, command: Command, lines: usize, height: usize) -> usize {
    let last = lines.saturating_sub(height);
    walked(first, command, last, height).unwrap_or(first).min(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_beyond_the_ends() {
        let check = |from, command, to| assert_eq!(walked(from, command, 9, 4), to, "{command:?}");
        check(0, Command::Up, Some(0));
        check(9, Command::Down, Some(9));
        check(5, Command::HalfPageUp, Some(3));
        check(5, Command::PageDown, Some(9));
        check(5, Command::First, Some(0));
        check(5, Command::Last, Some(9));
        check(5, Command::Zoom, None);
        // A list may have become shorter meanwhile.
        check(99, Command::Up, Some(8));
        assert_eq!(walked(0, Command::HalfPageDown, 9, 1), Some(1), "each key leads somewhere");
    }

    #[test]
    fn the_last_line_is_at_the_bottom_and_the_next_key_up_moves() {
        let end = scrolled(0, Command::Last, 30, 10);
        assert_eq!(end, 20);
        assert_eq!(scrolled(end, Command::Up, 30, 10), 19);
        assert_eq!(scrolled(3, Command::Down, 5, 10), 0, "what fits whole is not scrolled");
    }
}
