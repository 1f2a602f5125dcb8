//! The last words of a process.
//!
//! A role writes to its standard error only when something is wrong, so its last lines are what
//! an obituary needs. They may come from a process gone mad: the number and the length of the
//! lines are bounded, and what could move a terminal's cursor is replaced.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::process::ChildStderr;

use mio::event::Source;
use mio::unix::pipe::Receiver;
use mio::{Interest, Registry, Token};

use crate::limits::{STDERR_BYTES_PER_TURN, STDERR_LINE_BYTES_MAX, STDERR_LINES_KEPT};

/// The last lines of a stream of bytes: at most [`STDERR_LINES_KEPT`] of at most
/// [`STDERR_LINE_BYTES_MAX`] bytes each, safe to show.
#[derive(Debug, Default)]
pub struct Tail {
    lines: VecDeque<String>,
    /// The line that has no end yet, cut at its bound.
    partial: Vec<u8>,
}

impl Tail {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, is_whole) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            let room = STDERR_LINE_BYTES_MAX - self.partial.len();
            self.partial.extend(text.iter().take(room));
            if is_whole {
                self.end_line();
            }
        }
    }

    /// Ends the line that has no end yet, because the stream has ended.
    pub fn finish(&mut self) {
        if !self.partial.is_empty() {
            self.end_line();
        }
    }

    /// Returns the whole lines, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// Returns the last whole line that is not blank: the best guess at what went wrong.
    pub fn last_line(&self) -> Option<&str> {
        self.lines.iter().map(|line| line.trim()).rfind(|line| !line.is_empty())
    }

    fn end_line(&mut self) {
        if self.lines.len() == STDERR_LINES_KEPT {
            self.lines.pop_front();
        }
        let line = String::from_utf8_lossy(&self.partial).chars().map(harmless).collect();
        self.lines.push_back(line);
        self.partial.clear();
    }
}

/// Returns the character itself, or a stand-in for one that a terminal would obey.
fn harmless(character: char) -> char {
    match character {
        '\t' => ' ',
        _ if character.is_control() => char::REPLACEMENT_CHARACTER,
        _ => character,
    }
}

/// Whether there is more to read from a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Nothing for now; wait until the pipe is readable.
    Empty,
    /// The turn's share has been read and more may be there: drain again next turn.
    More,
    /// The last writer is gone, so no more will come.
    Closed,
}

/// The reading end of a process's standard error, and the last lines that came out of it.
///
/// Register it with a poller as any source; readiness is edge-triggered, so [`Self::drain`] until
/// it says [`Drained::Empty`].
#[derive(Debug)]
pub struct StderrPipe {
    pipe: Receiver,
    tail: Tail,
}

impl StderrPipe {
    /// Takes over the pipe. Reading it never blocks; the process's own end stays blocking, since
    /// a role that prints must not see an error.
    ///
    /// # Errors
    /// When the system refuses to change the pipe's mode.
    pub(super) fn new(stderr: ChildStderr) -> io::Result<Self> {
        let pipe = Receiver::from(stderr);
        pipe.set_nonblocking(true)?;
        let tail = Tail::default();
        Ok(Self { pipe, tail })
    }

    /// Reads what is there, at most [`STDERR_BYTES_PER_TURN`] bytes. Any failure to read counts
    /// as the end: nothing can be done about it, and the process itself is watched elsewhere.
    pub fn drain(&mut self) -> Drained {
        let mut buf = [0; 4096];
        let mut left = STDERR_BYTES_PER_TURN;
        while left > 0 {
            match self.pipe.read(&mut buf) {
                Ok(0) => return self.close(),
                Ok(len) => {
                    self.tail.push(&buf[..len]);
                    left = left.saturating_sub(len);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Drained::Empty,
                Err(_) => return self.close(),
            }
        }
        Drained::More
    }

    /// Returns the last lines that were drained.
    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    fn close(&mut self) -> Drained {
        self.tail.finish();
        Drained::Closed
    }
}

impl Source for StderrPipe {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.pipe.register(registry, token, interests)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.pipe.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.pipe.deregister(registry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut tail = Tail::default();
        for piece in pieces {
            tail.push(piece);
        }
        tail.finish();
        tail.lines().map(String::from).collect()
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_are_cut() {
        let text = b"first\n\nthird\nlast";
        let whole = lines(&[text]);
        assert_eq!(whole, ["first", "", "third", "last"]);
        for cut in 0..text.len() {
            assert_eq!(lines(&[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let text: String = (0..100).map(|n| format!("{n}\n")).collect();
        let kept = lines(&[text.as_bytes()]);
        assert_eq!(kept.len(), STDERR_LINES_KEPT);
        assert_eq!((kept[0].as_str(), kept[19].as_str()), ("80", "99"));
    }

    #[test]
    fn an_endless_line_is_cut_and_the_next_is_whole() {
        let long = vec![b'x'; STDERR_LINE_BYTES_MAX];
        let kept = lines(&[&long, &long, b"\nnext\n"]);
        assert_eq!(kept[0].len(), STDERR_LINE_BYTES_MAX);
        assert_eq!(kept[1], "next");
    }

    #[test]
    fn what_a_terminal_would_obey_is_replaced() {
        assert_eq!(lines(&[b"\x1b[2J\ta\xff\x07\r\n"]), ["\u{fffd}[2J a\u{fffd}\u{fffd}\u{fffd}"]);
    }

    #[test]
    fn the_last_line_is_the_last_that_says_something() {
        let mut tail = Tail::default();
        tail.push(b"disk full\n \n\nunfinished");
        assert_eq!(tail.last_line(), Some("disk full"));
        tail.finish();
        assert_eq!(tail.last_line(), Some("unfinished"));
        assert_eq!(Tail::default().last_line(), None);
    }
}
