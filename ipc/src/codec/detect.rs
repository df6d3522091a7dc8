//! What a peer speaks, told by the first byte of its connection: no preface is needed, because a binary length is
//! below 2^24 and JSON begins with a brace. Who comes with something else is told, in a language it may understand.
use super::Encoding;

/// What a first byte says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detected {
    Frames(Encoding),
    /// Someone's curl.
    Http,
    Unknown,
}

/// Tells what a peer speaks by its first byte.
pub fn detect(first: u8) -> Detected {
    match first {
        0 => Detected::Frames(Encoding::Binary),
        b'{' | b' ' | b'\t' | b'\r' | b'\n' => Detected::Frames(Encoding::JsonLines),
        // GET, POST, PUT, PATCH, HEAD, DELETE, OPTIONS, CONNECT, TRACE
        b'G' | b'P' | b'H' | b'D' | b'O' | b'C' | b'T' => Detected::Http,
        _ => Detected::Unknown,
    }
}

/// What is written to a peer that does not speak frames, before it is let go.
pub fn refusal(detected: Detected, server: &str, help: &str) -> Option<String> {
    match detected {
        Detected::Frames(_) => None,
        Detected::Http => {
            let page = format!(
                "{server} speaks the Callspan protocol on this socket, not HTTP.\n\
                 Try:  echo '{{\"id\":1,\"describe\":{{}}}}' | socat -t 600 - UNIX-CONNECT:SOCKET\n\n{help}\n"
            );
            Some(format!(
                "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{page}",
                page.len()
            ))
        }
        Detected::Unknown => Some(format!(
            "{server}: not a Callspan frame: begin with a JSON line such as {{\"id\":1,\"describe\":{{}}}}, \
             or with a 4-byte big-endian length below 2^24.\n"
        )),
    }
}
