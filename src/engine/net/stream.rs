//! Unix stream sockets, never blocking, with their errors sorted.

use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mio::net::{UnixListener, UnixStream};

use super::connection::{Inbox, Outbox};
use crate::count;

/// How a reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The peer has nothing more to say for now.
    Drained,
    /// This turn's share is used; there may be more.
    Budget,
    /// The peer has ended the connection.
    Eof,
}

/// How a writing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// All has left.
    Done,
    /// The peer takes no more for now.
    Blocked,
}

/// The connection is gone: reset, broken, or no longer usable.
#[derive(Debug, thiserror::Error)]
#[error("the connection is gone")]
pub struct Gone(#[source] pub io::Error);

/// Why a socket can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {path}: {source}")]
pub struct ListenError {
    path: PathBuf,
    source: io::Error,
}

/// Reads what has come, at most `budget` bytes and a little more.
///
/// # Errors
/// [`Gone`] if the connection was reset.
pub fn fill(stream: &mut impl Read, inbox: &mut Inbox, budget: usize) -> Result<Fill, Gone> {
    let mut taken = 0;
    while taken < budget {
        let space = inbox.space();
        let room = space.len();
        match stream.read(space) {
            Ok(0) => return Ok(Fill::Eof),
            Ok(bytes) => {
                count!(LOOP_READ_BYTES, bytes as u64);
                inbox.filled(bytes);
                taken += bytes;
                // A short read means that the socket is empty: the next byte is a new event.
                if bytes < room {
                    return Ok(Fill::Drained);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Fill::Drained),
            Err(error) => return Err(Gone(error)),
        }
    }
    Ok(Fill::Budget)
}

/// Writes what waits, as far as the peer takes it.
///
/// # Errors
/// [`Gone`] if the connection was reset or closed.
pub fn flush(stream: &mut impl Write, outbox: &mut Outbox) -> Result<Flush, Gone> {
    while !outbox.pending().is_empty() {
        match stream.write(outbox.pending()) {
            Ok(bytes) => {
                count!(LOOP_SEND_BYTES, bytes as u64);
                outbox.sent(bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Flush::Blocked),
            Err(error) => return Err(Gone(error)),
        }
    }
    Ok(Flush::Done)
}

/// Listens on a socket that only this user may connect to, in place of whatever stands at `path`.
/// The caller holds the lock of the directory, so it can only be a dead process's socket.
///
/// # Errors
/// [`ListenError`] if the path is too long or the directory can't be written.
pub fn listen(path: &Path) -> Result<UnixListener, ListenError> {
    let failed = |source| ListenError { path: path.to_owned(), source };
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    // The directory is private already; this is for whoever moves it.
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, private).map_err(failed)?;
    Ok(listener)
}

/// Returns whether the peer runs as this user.
pub fn is_own_user(stream: &UnixStream) -> bool {
    use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
    getsockopt(stream, PeerCredentials)
        .is_ok_and(|peer| peer.uid() == nix::unistd::geteuid().as_raw())
}

/// Takes over the control connection that a supervisor left as standard input.
///
/// # Errors
/// If standard input is not a socket, as when a person runs a role by hand.
pub fn from_stdin() -> io::Result<UnixStream> {
    use std::os::fd::AsFd;
    let stdin = io::stdin().as_fd().try_clone_to_owned()?;
    let stream = std::os::unix::net::UnixStream::from(stdin);
    stream.peer_addr()?;
    stream.set_nonblocking(true)?;
    let null = std::fs::File::open("/dev/null")?;
    nix::unistd::dup2_stdin(null)?;
    Ok(UnixStream::from_std(stream))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::connection::{Connection, ConnectionLimits};
    use crate::net::frame::ErrorCode;

    fn pair() -> (UnixStream, UnixStream) {
        UnixStream::pair().unwrap()
    }

    fn large() -> Connection {
        let bounds =
            ConnectionLimits { payload_max: 1 << 24, outbox_high: 1 << 24, outbox_max: 1 << 25 };
        let mut connection = Connection::new(bounds);
        connection.refuse(ErrorCode::Malformed, &"x".repeat(3 << 20));
        connection
    }

    #[test]
    fn a_reader_that_stops_blocks_the_writer_and_nothing_is_lost() {
        let (mut a, mut b) = pair();
        let (mut sender, mut inbox) = (large(), Inbox::default());
        assert_eq!(flush(&mut a, &mut sender.outbox).unwrap(), Flush::Blocked);
        loop {
            while fill(&mut b, &mut inbox, 1 << 16).unwrap() == Fill::Budget {}
            if flush(&mut a, &mut sender.outbox).unwrap() == Flush::Done {
                break;
            }
        }
        while fill(&mut b, &mut inbox, 1 << 16).unwrap() == Fill::Budget {}
        let frame = inbox.next_frame(1 << 24).unwrap().unwrap();
        assert_eq!(frame.payload.len(), (3 << 20) + 5);
    }

    #[test]
    fn the_end_of_a_connection_is_seen() {
        let (a, mut b) = pair();
        let mut inbox = Inbox::default();
        assert_eq!(fill(&mut b, &mut inbox, 100).unwrap(), Fill::Drained);
        drop(a);
        assert_eq!(fill(&mut b, &mut inbox, 100).unwrap(), Fill::Eof);
        assert!(flush(&mut b, &mut large().outbox).is_err());
    }

    #[test]
    fn a_socket_is_private_and_replaces_a_dead_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("issuer.sock");
        drop(listen(&path).unwrap());
        let listener = listen(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let _client = UnixStream::connect(&path).unwrap();
        let (server, _) = listener.accept().unwrap();
        assert!(is_own_user(&server));
    }

    #[test]
    fn a_path_that_is_too_long_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x".repeat(120));
        let error = listen(&path).unwrap_err();
        assert!(error.to_string().contains(&"x".repeat(120)));
    }
}
