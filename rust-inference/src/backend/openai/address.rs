//! Where another server is: a URL, or a Unix socket, and perhaps one of its models.

use std::{fmt, path::PathBuf, str::FromStr};

use hyper::Uri;

/// Where such servers have their paths, unless the URL says otherwise.
const BASE: &str = "/v1";

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Tcp {
        host: String,
        port: u16,
        tls: bool,
    },
    /// HTTP over a Unix socket.
    Unix(PathBuf),
}

/// A server's address: `http://host:port[/v1]`, `https://…` or `unix:/path/to.sock[:/v1]`, with `#MODEL` behind it for one
/// model of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub(super) way: Way,
    /// What each path begins with.
    pub(super) base: String,
    /// The one model that is meant.
    pub(super) model: Option<String>,
}

impl Address {
    /// A name for who gave it none: the host's, or the socket's without directory and ending.
    pub fn stem(&self) -> String {
        match &self.way {
            Way::Tcp { host, .. } => host.trim_matches(['[', ']']).to_owned(),
            Way::Unix(path) => path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
        }
    }

    /// Whom a key is for: another of these is another's key.
    pub fn origin(&self) -> String {
        match &self.way {
            Way::Tcp { host, port, tls } => {
                format!("{}://{host}:{port}", if *tls { "https" } else { "http" })
            }
            Way::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// Whether what is sent can be read on its way.
    pub fn is_open(&self) -> bool {
        let Way::Tcp {
            host, tls: false, ..
        } = &self.way
        else {
            return false;
        };
        let bare = host.trim_matches(['[', ']']);
        let here = bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback());
        !here && bare != "localhost"
    }

    /// What the header Host says.
    pub(super) fn host(&self) -> String {
        match &self.way {
            Way::Tcp { host, port, tls } => match (port, tls) {
                (80, false) | (443, true) => host.clone(),
                _ => format!("{host}:{port}"),
            },
            Way::Unix(_) => "localhost".to_owned(),
        }
    }

    /// Of a method that is not `OpenAI`'s: beside the base, not under it.
    pub(super) fn beside(&self, path: &str) -> String {
        let root = self.base.strip_suffix(BASE).unwrap_or(&self.base);
        format!("{root}{path}")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::Tcp { tls, .. } => {
                let scheme = if *tls { "https" } else { "http" };
                write!(f, "{scheme}://{}{}", self.host(), self.base)
            }
            Way::Unix(path) => write!(f, "unix:{}:{}", path.display(), self.base),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (place, model) = match text.split_once('#') {
            Some((_, "")) => return Err("behind # the model's name is missing".to_owned()),
            Some((place, model)) => (place, Some(model.to_owned())),
            None => (text, None),
        };
        let (socket, url) = match place.strip_prefix("unix:") {
            Some(rest) => {
                let rest = rest.strip_prefix("//").unwrap_or(rest);
                let (path, base) = match rest.rsplit_once(":/") {
                    Some((path, base)) => (path, base),
                    None => (rest, ""),
                };
                if path.is_empty() || path.ends_with('/') {
                    return Err(format!("{place:?} names no socket: {FORMS}"));
                }
                (
                    Some(PathBuf::from(path)),
                    format!("http://localhost/{base}"),
                )
            }
            None => (None, place.to_owned()),
        };
        let uri: Uri = (url.parse()).map_err(|error| format!("{error}: {FORMS}"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(FORMS.to_owned()),
        };
        let authority = uri.authority().ok_or(FORMS)?;
        if authority.as_str().contains('@') {
            return Err(
                "a URL with a password in it can be seen by everybody: set CALLSPAN_PEER_API_KEY instead"
                    .to_owned(),
            );
        }
        if uri.query().is_some() {
            return Err(format!("what stands behind ? is not used: {FORMS}"));
        }
        let base = match uri.path().trim_end_matches('/') {
            "" => BASE.to_owned(),
            path => path.to_owned(),
        };
        let way = match socket {
            Some(path) => Way::Unix(path),
            None => Way::Tcp {
                host: authority.host().to_owned(),
                port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
                tls,
            },
        };
        Ok(Self { way, base, model })
    }
}

const FORMS: &str =
    "give http://HOST:PORT, https://HOST or unix:/PATH, with #MODEL behind it for one model of it";

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn every_form_says_where_to_go() {
        for (text, shown, stem, host, model) in [
            (
                "http://localhost:11434",
                "http://localhost:11434/v1",
                "localhost",
                "localhost:11434",
                None,
            ),
            (
                "http://localhost:11434/v1#qwen3:0.6b",
                "http://localhost:11434/v1",
                "localhost",
                "localhost:11434",
                Some("qwen3:0.6b"),
            ),
            (
                "https://api.example.com/openai/v1/#org/model",
                "https://api.example.com/openai/v1",
                "api.example.com",
                "api.example.com",
                Some("org/model"),
            ),
            ("http://[::1]:80/", "http://[::1]/v1", "::1", "[::1]", None),
            (
                "unix:/run/llama.sock",
                "unix:/run/llama.sock:/v1",
                "llama",
                "localhost",
                None,
            ),
            (
                "unix:///run/llama.sock:/api#m",
                "unix:/run/llama.sock:/api",
                "llama",
                "localhost",
                Some("m"),
            ),
        ] {
            let found = address(text);
            assert_eq!(found.to_string(), shown);
            assert_eq!(found.stem(), stem, "{text}");
            assert_eq!(found.host(), host, "{text}");
            assert_eq!(found.model.as_deref(), model, "{text}");
        }
        let beside = |text: &str| address(text).beside("/api/tags");
        assert_eq!(beside("http://a"), "/api/tags");
        assert_eq!(beside("http://a/x/v1"), "/x/api/tags");
        assert_eq!(beside("http://a/x"), "/x/api/tags");
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_is_one() {
        for (text, told) in [
            ("", "give http://HOST:PORT"),
            ("localhost:11434", "give http://HOST:PORT"),
            ("ftp://a", "give http://HOST:PORT"),
            ("http://", "give http://HOST:PORT"),
            ("http://a#", "the model's name is missing"),
            ("http://me:secret@a/v1", "CALLSPAN_PEER_API_KEY"),
            ("http://a/v1?key=1", "behind ?"),
            ("unix:", "names no socket"),
            ("unix:/run/", "names no socket"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_goes_unencrypted_to_another_machine_is_known() {
        for (text, open) in [
            ("http://example.com", true),
            ("http://192.168.0.7:1234", true),
            ("https://example.com", false),
            ("http://localhost:1", false),
            ("http://127.0.0.1:1", false),
            ("http://[::1]:1", false),
            ("unix:/run/a.sock", false),
        ] {
            assert_eq!(address(text).is_open(), open, "{text}");
        }
        assert_ne!(
            address("http://a:1").origin(),
            address("http://a:2").origin()
        );
        assert_eq!(
            address("http://a/v1#x").origin(),
            address("http://a:80/v2#y").origin()
        );
    }
}
