//! HTTP/1.1 as little of it as a stand-in needs: blocking, a thread a connection, nothing between a byte's arrival and
//! the time taken of it. A server library would add its own scheduling to every figure.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};

/// The most headers of a request.
const HEADERS: usize = 64;

/// A request, read to its last byte.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    /// When its last byte was there.
    pub(crate) at: Instant,
    /// When how many bytes of the body were there, where it came in pieces.
    pub(crate) pieces: Vec<(Instant, usize)>,
}

/// How long a request's body is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Length {
    Known(usize),
    /// It comes in pieces (RFC 9112, section 7.1).
    Chunked,
}

/// A connection that requests come from.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// When it was accepted.
    pub(crate) accepted: Instant,
}

impl Connection {
    /// The next request; `None` where the client has closed.
    pub(crate) fn read(&mut self) -> Result<Option<Request>> {
        loop {
            match parse(&self.buffer)? {
                Some((mut request, head, Length::Known(body))) if self.buffer.len() >= head + body => {
                    request.body = self.buffer[head..head + body].to_vec();
                    request.at = Instant::now();
                    self.buffer.drain(..head + body);
                    return Ok(Some(request));
                }
                Some((mut request, head, Length::Chunked)) => {
                    self.buffer.drain(..head);
                    return Ok(self.read_pieces(&mut request)?.then_some(request));
                }
                _ => {}
            }
            if !self.fill() {
                return Ok(None);
            }
        }
    }

    /// Reads a body that comes in pieces; whether it came to its end.
    fn read_pieces(&mut self, request: &mut Request) -> Result<bool> {
        loop {
            let line = self.buffer.windows(2).position(|window| window == b"\r\n");
            if let Some(end) = line {
                let size = usize::from_str_radix(std::str::from_utf8(&self.buffer[..end])?.trim(), 16)?;
                let (from, to) = (end + 2, end + 2 + size);
                if self.buffer.len() >= to + 2 {
                    request.body.extend_from_slice(&self.buffer[from..to]);
                    request.at = Instant::now();
                    request.pieces.push((request.at, request.body.len()));
                    self.buffer.drain(..to + 2);
                    if size == 0 {
                        return Ok(true);
                    }
                    continue;
                }
            }
            if !self.fill() {
                return Ok(false);
            }
        }
    }

    /// Reads more; whether there was any.
    fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        let read = self.stream.read(&mut chunk).unwrap_or_default();
        self.buffer.extend_from_slice(&chunk[..read]);
        read > 0
    }

    /// Begins an answer without a length: its body ends with the connection.
    pub(crate) fn begin(&mut self, status: &str, headers: &str) -> Result<()> {
        self.send(format!("HTTP/1.1 {status}\r\n{headers}\r\n").as_bytes())
    }

    /// Sends more of it.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("the client went away")
    }

    /// Answers. `headers` are whole lines.
    pub(crate) fn write(&mut self, status: &str, headers: &str, body: &[u8]) -> Result<()> {
        let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
        let answer = [head.as_bytes(), body].concat();
        self.stream.write_all(&answer).context("the client went away")
    }
}

/// Reads a request's head: the request without its body, the length of the head and that of the body. `None` where the
/// head isn't complete yet.
fn parse(bytes: &[u8]) -> Result<Option<(Request, usize, Length)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(bytes).context("not HTTP/1.1")? else { return Ok(None) };
    let mut length = Length::Known(0);
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            length = Length::Known(std::str::from_utf8(header.value)?.trim().parse()?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            length = Length::Chunked;
        }
    }
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let (method, path) = (text(request.method), text(request.path));
    Ok(Some((Request { method, path, body: Vec::new(), at: Instant::now(), pieces: Vec::new() }, head, length)))
}

/// Listens on a free port of loopback and gives every connection a thread; answers the port. It listens until this
/// process ends: there are few, and none costs anything while nobody connects.
pub(crate) fn listen(serve: impl Fn(TcpStream, Instant) + Clone + Send + 'static) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (serve, accepted) = (serve.clone(), Instant::now());
            // Answers are written whole; waiting for more to send would only delay them.
            let _ = stream.set_nodelay(true);
            thread::spawn(move || serve(stream, accepted));
        }
    });
    Ok(port)
}

/// The same for HTTP.
pub(crate) fn listen_http(serve: impl Fn(Connection) -> Result<()> + Clone + Send + 'static) -> Result<u16> {
    listen(move |stream, accepted| {
        // A client that is killed ends its connection in the middle; whoever waits for its answer says so.
        let _ = serve(Connection { stream, buffer: Vec::new(), accepted });
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_complete_or_waited_for() {
        let whole = b"POST /x HTTP/1.1\r\nhost: a\r\nContent-Length: 3\r\n\r\nabc";
        let (request, head, body) = parse(whole).unwrap().unwrap();
        assert_eq!(
            (request.method.as_str(), request.path.as_str(), head, body),
            ("POST", "/x", whole.len() - 3, Length::Known(3))
        );
        for cut in 0..whole.len() - 3 {
            assert!(parse(&whole[..cut]).unwrap().is_none(), "{cut}");
        }
        let (_, _, length) = parse(b"POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n").unwrap().unwrap();
        assert_eq!(length, Length::Chunked);
        assert!(parse(b"\0\0\0\x08\x04\xd2\x16\x2f").is_err());
    }
}
