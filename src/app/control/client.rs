//! The other end of the control socket: asks one thing, takes one reply.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::clock::{Clock, SystemClock, Time, sleep_until};
use engine::limits;
use serde_json::{Value, json};

use super::VERSION;
use crate::app::server::{Stream, Timed};

/// Why there is no reply, or none that helps.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("the office is gone: nobody listens at {}", .0.display())]
    Gone(PathBuf),
    #[error("cannot speak with the office at {}: {source}", socket.display())]
    Io { socket: PathBuf, source: io::Error },
    #[error(
        "the office does not answer within {within:?}; it may be stopped, or the machine \
         overloaded"
    )]
    Silent { within: Duration },
    #[error("the office speaks another version; use the postoffice-tui that runs it")]
    Foreign,
    #[error("{0}")]
    Refused(String),
    /// The same for what would be a mistake at a start too.
    #[error("{0}")]
    Usage(String),
}

/// A connection to a running office.
#[derive(Debug)]
pub(crate) struct Client {
    socket: PathBuf,
    stream: UnixStream,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// [`AskError::Gone`] if nobody listens.
    pub(crate) fn connect(socket: &Path) -> Result<Self, AskError> {
        match UnixStream::connect(socket) {
            Ok(stream) => Ok(Self { socket: socket.to_owned(), stream }),
            Err(source) => Err(failed(socket, source)),
        }
    }

    /// Sends a request and returns the reply to it.
    ///
    /// # Errors
    /// [`AskError`] if there is none in time, or it says that something went wrong.
    pub(crate) fn ask(&mut self, request: &Value, within: Duration) -> Result<Value, AskError> {
        let mut request = request.clone();
        request["version"] = json!(VERSION);
        let until = SystemClock.now() + within;
        let line = self.exchange(&request, until).map_err(|source| match source.kind() {
            io::ErrorKind::TimedOut => AskError::Silent { within },
            _ => failed(&self.socket, source),
        })?;
        let reply: Value = serde_json::from_slice(&line).map_err(|_| AskError::Foreign)?;
        match (reply["version"].as_u64(), reply["ok"].as_bool()) {
            (Some(VERSION), Some(true)) => Ok(reply),
            _ => Err(refusal(&line)),
        }
    }

    /// Sends a request to which more than one line is the reply, and gives the connection away.
    ///
    /// # Errors
    /// [`AskError`] if it can't be sent in time.
    pub(crate) fn watch(mut self, request: &Value, until: Time) -> Result<UnixStream, AskError> {
        let mut request = request.clone();
        request["version"] = json!(VERSION);
        let sent = Timed::new(&mut self.stream, until).write_all(format!("{request}\n").as_bytes());
        // One that turns us away does so without reading; then its reply says why.
        match sent {
            Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
                Err(failed(&self.socket, source))
            }
            _ => Ok(self.stream),
        }
    }

    fn exchange(&mut self, request: &Value, until: Time) -> io::Result<Vec<u8>> {
        let mut timed = Timed::new(&mut self.stream, until);
        // One that turns us away does so without reading; then its reply says why.
        let sent = timed.write_all(format!("{request}\n").as_bytes());
        let mut line = Vec::new();
        let read = BufReader::new(timed)
            .take(limits::CONTROL_REPLY_BYTES_MAX)
            .read_until(b'\n', &mut line);
        if line.ends_with(b"\n") {
            return Ok(line);
        }
        sent?;
        read?;
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    /// Waits until the office has closed its socket, which it does at its very end; returns
    /// whether it has in time.
    pub(crate) fn wait_for_end(mut self, until: Time) -> bool {
        loop {
            let mut timed = Timed::new(&mut self.stream, until);
            match timed.read(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return false,
                _ => {}
            }
            // A connection that was silent for long is closed too.
            match UnixStream::connect(&self.socket) {
                Ok(stream) => self.stream = stream,
                Err(_) => return true,
            }
            // The last moments of an office that still accepts but ends.
            sleep_until(SystemClock.now() + Duration::from_millis(10));
            if SystemClock.now() >= until {
                return false;
            }
        }
    }
}

/// Returns what a reply means that is not the one that was hoped for.
pub(crate) fn refusal(line: &[u8]) -> AskError {
    match serde_json::from_slice::<Value>(line) {
        Ok(reply) if reply["ok"] == false => {
            let error = reply["error"].as_str().unwrap_or("it was refused");
            let is_usage = reply["usage"].as_bool() == Some(true);
            let refused = if is_usage { AskError::Usage } else { AskError::Refused };
            refused(error.to_owned())
        }
        _ => AskError::Foreign,
    }
}

/// Waits for the next of several lines; `line` has what came of it so far, so that after a silence
/// one can go on waiting.
///
/// # Errors
/// [`AskError`] if nothing comes within a span.
pub(crate) fn read_line(
    reader: &mut BufReader<UnixStream>,
    line: &mut Vec<u8>,
    within: Duration,
    socket: &Path,
) -> Result<(), AskError> {
    let quiet = |source: io::Error| match source.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => AskError::Silent { within },
        _ => failed(socket, source),
    };
    reader.get_ref().set_timeout(within).map_err(quiet)?;
    loop {
        let left = limits::CONTROL_REPLY_BYTES_MAX.saturating_sub(line.len() as u64);
        match reader.by_ref().take(left).read_until(b'\n', line) {
            Ok(_) if line.ends_with(b"\n") => return Ok(()),
            Ok(_) => return Err(failed(socket, io::ErrorKind::UnexpectedEof.into())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(quiet(error)),
        }
    }
}

fn failed(socket: &Path, source: io::Error) -> AskError {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotFound, UnexpectedEof};
    match source.kind() {
        BrokenPipe | ConnectionRefused | ConnectionReset | NotFound | UnexpectedEof => {
            AskError::Gone(socket.to_owned())
        }
        _ => AskError::Io { socket: socket.to_owned(), source },
    }
}

/// Asks one thing on a connection of its own.
///
/// # Errors
/// As [`Client::connect`] and [`Client::ask`].
pub(crate) fn ask(socket: &Path, request: &Value, within: Duration) -> Result<Value, AskError> {
    let mut client = Client::connect(socket)?;
    let reply = client.ask(request, within);
    // Whoever asked once more would connect again.
    let _ = client.stream.cut(std::net::Shutdown::Both);
    reply
}
