//! The terminal: entered once, written by a thread of its own, and given back whatever happens.
//!
//! Giving back is idempotent and needs no working output: first the line settings, which need
//! none, then the escape sequences, for which a terminal that takes nothing is waited for a fifth of
//! a second, once. A frame that is on its way then is waited for until it has taken twice as long, so
//! a terminal that has been stuck for a while delays no end.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use engine::clock::{Clock, SystemClock, Time};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{self, SetArg, Termios};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::encode::encode;
use crate::app::crash;

/// Alternate screen on, cursor hidden, screen cleared.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[2J\x1b[H";
/// Everything that a dashboard may have switched on, off: synchronized output, mouse, focus and
/// paste reports, attributes, hidden cursor, alternate screen.
pub(super) const LEAVE: &[u8] = b"\x1b[?2026l\x1b[?1006l\x1b[?1003l\x1b[?1002l\x1b[?1000l\
                                  \x1b[?1004l\x1b[?2004l\x1b[0m\x1b[?25h\x1b[?1049l";
const BEGIN_FRAME: &[u8] = b"\x1b[?2026h";
const END_FRAME: &[u8] = b"\x1b[?2026l";
const CLEAR: &[u8] = b"\x1b[0m\x1b[2J";
/// Presses, releases, the wheel, and moves while a button is down, with coordinates of any size.
const MOUSE_ON: &[u8] = b"\x1b[?1002h\x1b[?1006h";
const MOUSE_OFF: &[u8] = b"\x1b[?1006l\x1b[?1002l";
/// How long a terminal that takes nothing is waited for at the end, in milliseconds.
const LEAVE_TIMEOUT_MS: u16 = 200;
/// A terminal that has not taken a frame for so long is stuck.
const STUCK_AFTER: Duration = Duration::from_millis(400);

/// Bytes that whoever says that it can be written takes without blocking.
const ROOM_BYTES: usize = 256;

/// The settings to give back, while the terminal is ours.
static SAVED: Mutex<Option<Termios>> = Mutex::new(None);
/// Whether frames may be written: what comes after the terminal was given back is thrown away...
static IS_OURS: AtomicBool = AtomicBool::new(false);
/// ...and one that is on its way is waited for, as long as a terminal may take for it: since when
/// it is, in nanoseconds of the monotonic clock; zero if none is.
static WRITING_SINCE: AtomicU64 = AtomicU64::new(0);
/// The terminal took nothing when it was given back, and is not waited for again.
static IS_STUCK: AtomicBool = AtomicBool::new(false);

fn terminal_fd() -> BorrowedFd<'static> {
    // SAFETY: standard output stays open for the whole life of the process.
    unsafe { BorrowedFd::borrow_raw(1) }
}

/// Makes the terminal ours: no line editing, no echo, the other screen.
///
/// # Errors
/// If standard output is no terminal.
pub(super) fn enter() -> io::Result<()> {
    let fd = terminal_fd();
    let saved = termios::tcgetattr(fd)?;
    let mut raw = saved.clone();
    termios::cfmakeraw(&mut raw);
    termios::tcsetattr(fd, SetArg::TCSANOW, &raw)?;
    SAVED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(saved);
    IS_OURS.store(true, Ordering::SeqCst);
    write_within(fd, ENTER, LEAVE_TIMEOUT_MS);
    Ok(())
}

/// Gives the terminal back, if it is ours. May be called from any thread and more than once.
pub(super) fn leave() {
    let saved = SAVED.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(saved) = saved else { return };
    let fd = terminal_fd();
    // A terminal that is gone needs nothing back.
    let _ = termios::tcsetattr(fd, SetArg::TCSANOW, &saved);
    IS_OURS.store(false, Ordering::SeqCst);
    // Behind a frame that is stuck even the attempt would block.
    let is_told = await_frame() && write_within(fd, LEAVE, LEAVE_TIMEOUT_MS);
    IS_STUCK.store(!is_told, Ordering::SeqCst);
}

/// Waits until the frame that is on its way has left; returns whether it has.
fn await_frame() -> bool {
    loop {
        let since = Time(WRITING_SINCE.load(Ordering::SeqCst));
        if !since.is_set() || is_stuck(since, SystemClock.now()) {
            return !since.is_set();
        }
        // Nothing is waited for but a millisecond.
        let _ = poll(&mut [], PollTimeout::from(1_u8));
    }
}

/// Returns whether a frame that is on its way since a moment will not leave. Who was stuck before the
/// end began is not waited for.
fn is_stuck(since: Time, now: Time) -> bool {
    now.since(since) >= STUCK_AFTER
}

/// Writes, as long as the reader takes something within each span; a terminal that is stuck gets
/// nothing. Returns whether all was written.
pub(super) fn write_within(fd: BorrowedFd<'_>, mut bytes: &[u8], timeout_ms: u16) -> bool {
    let own = unblocked(fd);
    let fd = own.as_ref().map_or(fd, AsFd::as_fd);
    let timeout = Duration::from_millis(timeout_ms.into());
    let mut until = SystemClock.now() + timeout;
    loop {
        let left = until.since(SystemClock.now()).as_millis();
        let left = PollTimeout::from(u16::try_from(left).unwrap_or(timeout_ms));
        if !poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], left).is_ok_and(|ready| ready > 0) {
            return false;
        }
        let len = if own.is_some() { bytes.len() } else { bytes.len().min(ROOM_BYTES) };
        match nix::unistd::write(fd, &bytes[..len]) {
            Ok(len) if len > 0 => {
                bytes = &bytes[len..];
                until = SystemClock.now() + timeout;
            }
            // There was room, but less than a line of the terminal needs, or another thread has it.
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {
                let _ = poll(&mut [], PollTimeout::from(1_u8));
                if SystemClock.now() >= until {
                    return false;
                }
            }
            Err(_) => return false,
        }
        if bytes.is_empty() {
            return true;
        }
    }
}

/// Opens a terminal once more, so that writing never blocks: to say so of the description that the
/// shell has too would be felt there. `None` if it is no terminal, or can't be opened.
fn unblocked(fd: BorrowedFd<'_>) -> Option<File> {
    if !fd.is_terminal() {
        return None;
    }
    let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    OpenOptions::new().write(true).custom_flags(flags).open(path).ok()
}

/// Writes a text to standard output, as far as the terminal takes it in time.
pub(super) fn say(text: &str) {
    let timeout = if IS_STUCK.load(Ordering::SeqCst) { 0 } else { LEAVE_TIMEOUT_MS };
    // Whoever does not read it can read the log.
    let _ = write_within(terminal_fd(), text.as_bytes(), timeout);
}

/// Returns columns and rows of the terminal; `None` if it does not say.
pub(super) fn size() -> Option<(u16, u16)> {
    let mut size = nix::libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request fills in one `winsize`, which lives as long as the call.
    let result = unsafe { nix::libc::ioctl(1, nix::libc::TIOCGWINSZ, &raw mut size) };
    (result == 0 && size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// The thread that writes to the terminal, one frame at a time: a terminal that is slow or stuck
/// blocks it and nothing else.
pub(super) struct Writer {
    frames: SyncSender<Vec<u8>>,
    is_busy: Arc<AtomicBool>,
    /// Somebody waits for its being free; nobody else is woken for that.
    is_awaited: Arc<AtomicBool>,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It will be written.
    Taken,
    /// The one before has not left.
    Busy,
    /// The terminal is gone.
    Gone,
}

impl Writer {
    /// Starts the thread. `on_free` is told when it can take the next frame, if somebody
    /// [waits](Self::await_free) for that, or with `false` that the terminal is gone.
    ///
    /// # Errors
    /// If the system has no thread left.
    pub(super) fn start(
        mut out: impl Write + Send + 'static,
        on_free: impl Fn(bool) + Send + 'static,
    ) -> io::Result<Self> {
        let (frames, next_frame) = sync_channel::<Vec<u8>>(1);
        let is_busy = Arc::new(AtomicBool::new(false));
        let is_awaited = Arc::new(AtomicBool::new(false));
        let (busy, awaited) = (Arc::clone(&is_busy), Arc::clone(&is_awaited));
        std::thread::Builder::new().name("terminal".to_owned()).spawn(move || {
            while let Ok(frame) = next_frame.recv() {
                crash::failpoint("terminal");
                let written = out.write_all(&frame).and_then(|()| out.flush());
                busy.store(false, Ordering::SeqCst);
                let is_awaited = awaited.swap(false, Ordering::SeqCst);
                if is_awaited || written.is_err() {
                    on_free(written.is_ok());
                }
                if written.is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { frames, is_busy, is_awaited })
    }

    /// Returns whether the frame before has left.
    pub(super) fn is_free(&self) -> bool {
        !self.is_busy.load(Ordering::SeqCst)
    }

    /// Asks to be told when the frame before has left; returns whether it has already.
    pub(super) fn await_free(&self) -> bool {
        if self.is_free() {
            return true;
        }
        self.is_awaited.store(true, Ordering::SeqCst);
        // It may have left between the two.
        self.is_free()
    }

    /// Hands a frame over.
    pub(super) fn write(&self, frame: Vec<u8>) -> Written {
        if self.is_busy.swap(true, Ordering::SeqCst) {
            return Written::Busy;
        }
        match self.frames.try_send(frame) {
            Ok(()) => Written::Taken,
            Err(TrySendError::Full(_)) => Written::Busy,
            Err(TrySendError::Disconnected(_)) => Written::Gone,
        }
    }
}

/// What the terminal shows, and what it should show: only the difference is written, and nothing
/// if there is none.
pub(super) struct Screen {
    shown: Buffer,
    needs_all: bool,
    /// What else the terminal is to be told with the next frame, as far as it still holds then: a
    /// terminal that is stuck lets nothing pile up.
    clipboard: Option<String>,
    mouse: Option<bool>,
}

impl Screen {
    /// Returns a screen of which nothing is known.
    pub(super) fn new() -> Self {
        Self { shown: Buffer::empty(Rect::ZERO), needs_all: true, clipboard: None, mouse: None }
    }

    /// Forgets what is shown: the next frame draws everything.
    pub(super) fn repaint(&mut self) {
        self.needs_all = true;
    }

    /// Puts a text on the terminal's clipboard, if the terminal allows it (OSC 52).
    pub(super) fn copy(&mut self, text: &str) {
        self.clipboard = Some(base64::engine::general_purpose::STANDARD.encode(text));
    }

    /// Has the terminal tell of the mouse, or keep it for itself.
    pub(super) fn mouse(&mut self, is_ours: bool) {
        self.mouse = Some(is_ours);
    }

    /// Returns the bytes that make the terminal show `next`; `None` if it does already.
    pub(super) fn frame(&mut self, next: Buffer) -> Option<Vec<u8>> {
        let mut bytes = BEGIN_FRAME.to_vec();
        if self.needs_all || self.shown.area != next.area {
            self.shown = Buffer::empty(next.area);
            self.needs_all = false;
            bytes.extend_from_slice(CLEAR);
        }
        encode(&self.shown, &next, &mut bytes);
        let has_frame = bytes.len() > BEGIN_FRAME.len();
        bytes.extend_from_slice(END_FRAME);
        self.shown = next;
        let mut words = Vec::new();
        if let Some(is_ours) = self.mouse.take() {
            words.extend_from_slice(if is_ours { MOUSE_ON } else { MOUSE_OFF });
        }
        if let Some(text) = self.clipboard.take() {
            words.extend_from_slice(format!("\x1b]52;c;{text}\x07").as_bytes());
        }
        if has_frame {
            words.append(&mut bytes);
        }
        (!words.is_empty()).then_some(words)
    }
}

/// Standard output without any buffer of its own.
pub(super) struct RawOut;

impl Write for RawOut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        WRITING_SINCE.store(SystemClock.now().0, Ordering::SeqCst);
        let written = if IS_OURS.load(Ordering::SeqCst) {
            nix::unistd::write(terminal_fd().as_fd(), bytes)
        } else {
            Ok(bytes.len())
        };
        WRITING_SINCE.store(0, Ordering::SeqCst);
        Ok(written?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::channel;

    use ratatui::style::Style;

    use super::*;

    #[test]
    fn a_stuck_terminal_drops_frames_and_blocks_nobody() {
        let (mut reader, out) = UnixStream::pair().unwrap();
        let (free, freed) = channel();
        let writer = Writer::start(out, move |is_alive| free.send(is_alive).unwrap()).unwrap();
        assert_eq!(writer.write(vec![b'x'; 8 << 20]), Written::Taken);
        assert_eq!(writer.write(b"late".to_vec()), Written::Busy);
        assert!(!writer.await_free());
        let mut bytes = vec![0; 8 << 20];
        reader.read_exact(&mut bytes).unwrap();
        assert!(freed.recv().unwrap() && writer.is_free());
        drop(reader);
        assert_eq!(writer.write(b"gone".to_vec()), Written::Taken);
        assert!(!freed.recv().unwrap());
    }

    #[test]
    fn a_terminal_that_was_stuck_before_the_end_is_not_waited_for() {
        let at = |ms: u64| Time(ms * 1_000_000);
        let found = [1000, 1100, 1399, 1400, 90_000].map(|now| is_stuck(at(1000), at(now)));
        assert_eq!(found, [false, false, false, true, true]);
    }

    #[test]
    fn a_terminal_with_little_room_delays_the_end_by_a_moment_only() {
        let pty = nix::pty::openpty(None, None).unwrap();
        let slave = pty.slave.as_fd();
        // Byte by byte until there is no room left, so that any number of bytes may be missing.
        while write_within(slave, b"x", 0) {}
        assert!(!write_within(slave, &[b'y'; 100], 20), "nobody reads");
        let mut read = [0; 40];
        let master = File::from(pty.master);
        (&master).read_exact(&mut read).unwrap();
        // It may have room for a few bytes now, and says so: what is longer must not block.
        assert!(!write_within(slave, &[b'y'; 1 << 20], 20));
    }

    #[test]
    fn only_changes_are_written() {
        let area = Rect::new(0, 0, 10, 2);
        let with = |text: &str| {
            let mut buf = Buffer::empty(area);
            buf.set_string(0, 0, text, Style::new());
            buf
        };
        let mut screen = Screen::new();
        let first = screen.frame(with("one")).unwrap();
        assert!(first.starts_with(BEGIN_FRAME) && first.ends_with(END_FRAME));
        assert_eq!(screen.frame(with("one")), None, "nothing changed, nothing is written");
        let second = String::from_utf8(screen.frame(with("onx")).unwrap()).unwrap();
        assert!(second.contains('x') && !second.contains('o'));
        screen.repaint();
        assert!(screen.frame(with("onx")).is_some());
        screen.mouse(true);
        assert_eq!(screen.frame(with("onx")).unwrap(), MOUSE_ON, "a word needs no frame");
        screen.copy("nobody has taken this");
        screen.copy("hi");
        assert_eq!(screen.frame(with("onx")).unwrap(), b"\x1b]52;c;aGk=\x07");
        let mut small = Buffer::empty(Rect::new(0, 0, 3, 1));
        small.set_string(0, 0, "onx", Style::new());
        assert!(screen.frame(small).is_some(), "a new size is drawn anew");
    }
}
