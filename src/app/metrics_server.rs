//! The newest snapshot over HTTP, as Prometheus text.
//!
//! Requests are small and answers are whole, so this speaks just enough of HTTP/1.1: `httparse`
//! reads the head, every answer ends its connection. What is bounded (connections, bytes, times)
//! stands in `engine::limits`. The text is made on the connection's thread from a snapshot.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use engine::clock::{Clock, SystemClock, WallTime};
use engine::{limits, nice};

use super::handle::Office;
use super::prometheus;
use super::server::{self, Serve, Server, Stream, Timed};

/// A server of metrics and where it listens.
#[derive(Debug)]
pub(crate) struct MetricsServer {
    _server: Server<TcpStream>,
    /// The address, with the port that was chosen if any would do.
    pub(crate) address: SocketAddr,
}

/// Metrics can't be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve metrics at {address}: {source}; {}", advice(source))]
pub(crate) struct MetricsError {
    address: SocketAddr,
    source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "choose a free port with --metrics-listen, or 0 for any; the run goes on without"
        }
        io::ErrorKind::PermissionDenied => {
            "choose a port above 1023 with --metrics-listen; the run goes on without"
        }
        _ => "choose another address with --metrics-listen; the run goes on without",
    }
}

/// Starts to serve.
///
/// # Errors
/// [`MetricsError`] if the address can't be had.
pub(crate) fn start(address: SocketAddr, office: Office) -> Result<MetricsServer, MetricsError> {
    let failed = |source| MetricsError { address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    let chosen = listener.local_addr().map_err(failed)?;
    let most = limits::METRICS_CONNECTIONS_MAX;
    let server = server::start("metrics", listener, most, Page { office }).map_err(failed)?;
    Ok(MetricsServer { _server: server, address: chosen })
}

struct Page {
    office: Office,
}

impl<S: Stream> Serve<S> for Page {
    fn serve(&self, stream: &mut S) {
        // Whoever asks often must not slow down what is measured.
        nice::yield_to_others();
        let until = SystemClock.now() + limits::METRICS_REQUEST_WITHIN;
        let mut timed = Timed::new(stream, until);
        let answer = match read_request(&mut timed) {
            Ok(request) => {
                answer(request, || prometheus::render_at(&self.office.snapshot(), WallTime::now()))
            }
            // Whoever is gone needs no answer.
            Err(_) => return,
        };
        timed.until = SystemClock.now() + limits::METRICS_ANSWER_WITHIN;
        // A reader that is gone or too slow has lost interest.
        let _ = timed.write_all(&answer);
        let _ = stream.cut(Shutdown::Write);
    }

    fn turn_away(&self, stream: &mut S) {
        let busy = reply(Status::Busy, Body::Whole("too many requests at a time\n"));
        // It fits the empty buffer of a new connection; who does not read it is gone anyway.
        let _ = stream.write_all(&busy);
    }
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// The metrics; without their text if only the head of the answer is wanted.
    Metrics {
        is_head: bool,
    },
    Root,
    Elsewhere,
    /// Another method than GET and HEAD.
    Method,
    TooLong,
    Late,
    NotHttp,
}

/// Reads the head of a request.
fn read_request(stream: &mut impl Read) -> io::Result<Request> {
    let mut bytes = Vec::new();
    let mut part = [0; 1024];
    loop {
        let len = match stream.read(&mut part) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(Request::Late),
            Err(error) => return Err(error),
        };
        bytes.extend_from_slice(&part[..len]);
        if let Some(request) = parse(&bytes) {
            return Ok(request);
        }
        if bytes.len() > limits::METRICS_REQUEST_BYTES_MAX {
            return Ok(Request::TooLong);
        }
    }
}

/// Returns what a head asks for; `None` if it is not whole yet.
fn parse(bytes: &[u8]) -> Option<Request> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(bytes) {
        Ok(httparse::Status::Partial) => return None,
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Some(Request::TooLong),
        Err(_) => return Some(Request::NotHttp),
    }
    let path = head.path.unwrap_or_default();
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    Some(match (head.method.unwrap_or_default(), path) {
        ("GET", "/metrics") => Request::Metrics { is_head: false },
        ("HEAD", "/metrics") => Request::Metrics { is_head: true },
        ("GET" | "HEAD", "/") => Request::Root,
        ("GET" | "HEAD", _) => Request::Elsewhere,
        _ => Request::Method,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Ok,
    BadRequest,
    NotFound,
    Method,
    Late,
    TooLong,
    Busy,
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::Method => "405 Method Not Allowed\r\nAllow: GET, HEAD",
            Self::Late => "408 Request Timeout",
            Self::TooLong => "431 Request Header Fields Too Large",
            Self::Busy => "503 Service Unavailable\r\nRetry-After: 1",
        }
    }
}

enum Body<'a> {
    Whole(&'a str),
    /// Only how long it would be.
    Length(usize),
}

fn reply(status: Status, body: Body<'_>) -> Vec<u8> {
    let (len, text) = match body {
        Body::Whole(text) => (text.len(), text),
        Body::Length(len) => (len, ""),
    };
    format!(
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{text}",
        status.line(),
        prometheus::CONTENT_TYPE,
    )
    .into_bytes()
}

fn answer(request: Request, text: impl FnOnce() -> String) -> Vec<u8> {
    match request {
        Request::Metrics { is_head: false } => reply(Status::Ok, Body::Whole(&text())),
        Request::Metrics { is_head: true } => reply(Status::Ok, Body::Length(text().len())),
        Request::Root => reply(Status::Ok, Body::Whole("metrics are at /metrics\n")),
        Request::Elsewhere => {
            reply(Status::NotFound, Body::Whole("nothing here; metrics are at /metrics\n"))
        }
        Request::Method => reply(Status::Method, Body::Whole("only GET is served\n")),
        Request::Late => reply(Status::Late, Body::Whole("the request did not come in time\n")),
        Request::TooLong => reply(Status::TooLong, Body::Whole("the request is too long\n")),
        Request::NotHttp => reply(Status::BadRequest, Body::Whole("this is no HTTP request\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{handle, testing};

    fn check(head: &str, wanted: Request) {
        let bytes = head.as_bytes();
        assert_eq!(parse(bytes), Some(wanted), "{head:?}");
        for len in 0..bytes.len() {
            let early = parse(&bytes[..len]);
            assert!(early.is_none_or(|early| early == wanted), "{head:?} up to {len}");
        }
    }

    #[test]
    fn only_metrics_are_served() {
        check("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", Request::Metrics { is_head: false });
        check("GET /metrics?x=1 HTTP/1.0\r\n\r\n", Request::Metrics { is_head: false });
        check("HEAD /metrics HTTP/1.1\r\n\r\n", Request::Metrics { is_head: true });
        check("GET / HTTP/1.1\r\n\r\n", Request::Root);
        check("GET /metrics/ HTTP/1.1\r\n\r\n", Request::Elsewhere);
        check("GET /../etc/passwd HTTP/1.1\r\n\r\n", Request::Elsewhere);
        check("POST /metrics HTTP/1.1\r\n\r\n", Request::Method);
        check("\u{1}\u{2}\r\n\r\n", Request::NotHttp);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(100));
        assert_eq!(parse(many.as_bytes()), Some(Request::TooLong));
    }

    #[test]
    fn a_head_without_end_is_refused() {
        let endless = std::io::repeat(b'a');
        let mut head = b"GET /metrics HTTP/1.1\r\nX: ".chain(endless);
        assert_eq!(read_request(&mut head).unwrap(), Request::TooLong);
        assert!(read_request(&mut &b"GET /metr"[..]).is_err());
    }

    #[test]
    fn a_head_says_how_long_the_text_is() {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let whole = text(answer(Request::Metrics { is_head: false }, || "12345".to_owned()));
        let head = text(answer(Request::Metrics { is_head: true }, || "12345".to_owned()));
        assert_eq!(whole, format!("{head}12345"));
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("Content-Length: 5\r\n"));
    }

    fn get(address: SocketAddr, head: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_slow_client_hinders_nobody_and_a_taken_port_is_told() {
        let (office, _desk) = handle::office(testing::app(), || {});
        let any = "127.0.0.1:0".parse().unwrap();
        let server = start(any, office.clone()).unwrap();
        let mut slow = TcpStream::connect(server.address).unwrap();
        slow.write_all(b"GET /met").unwrap();
        let text = get(server.address, "GET /metrics HTTP/1.1\r\n\r\n");
        assert!(text.contains("\npostoffice_snapshot_number 3044\n"), "{text}");
        let mut late = String::new();
        slow.read_to_string(&mut late).unwrap();
        assert!(late.starts_with("HTTP/1.1 408 "), "{late}");
        let taken = start(server.address, office).unwrap_err().to_string();
        let address = server.address.to_string();
        for words in [&*address, "in use", "--metrics-listen", "goes on"] {
            assert!(taken.contains(words), "{taken}");
        }
        drop(server);
        assert!(TcpStream::connect(address).is_err());
    }
}
