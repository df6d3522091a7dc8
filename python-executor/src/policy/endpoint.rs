//! An address that a tool may connect to: `host:443`, `*.example.com:443`, `127.0.0.1:8080`, `[::1]:80` or
//! `unix:/path`. Each address has one spelling here, so that comparing them is comparing text.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    path::PathBuf,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use super::paths;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Endpoint {
    Tcp(Host, u16),
    Unix(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Host {
    Address(IpAddr),
    /// In lower case.
    Name(String),
    /// Every name below this one, but not itself.
    Below(String),
}

impl Endpoint {
    /// Whether everything that `other` names is named by this one.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(ours, port), Self::Tcp(theirs, other_port)) => {
                port == other_port && ours.covers(theirs)
            }
            (Self::Unix(ours), Self::Unix(theirs)) => ours == theirs,
            _ => false,
        }
    }
}

impl Host {
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Below(domain), Self::Name(name) | Self::Below(name)) => {
                let below = name
                    .strip_suffix(domain)
                    .is_some_and(|front| front.ends_with('.'));
                below || matches!(other, Self::Below(name) if name == domain)
            }
            _ => self == other,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(Host::Address(IpAddr::V6(address)), port) => write!(f, "[{address}]:{port}"),
            Self::Tcp(Host::Address(address), port) => write!(f, "{address}:{port}"),
            Self::Tcp(Host::Name(name), port) => write!(f, "{name}:{port}"),
            Self::Tcp(Host::Below(name), port) => write!(f, "*.{name}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{text:?} is no address: {why}");
        if let Some(path) = text.strip_prefix("unix:") {
            return match paths::absolute(path, None) {
                Ok(path) => Ok(Self::Unix(path)),
                Err(why) => Err(wrong(&why)),
            };
        }
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| wrong("write host:port or unix:/path"))?;
        let port = match port.parse() {
            Ok(port @ 1..) if port.to_string().len() == text.len() - host.len() - 1 => port,
            _ => return Err(wrong("the port is a number from 1 to 65535")),
        };
        Ok(Self::Tcp(
            parse_host(host).map_err(|why| wrong(&why))?,
            port,
        ))
    }
}

fn parse_host(text: &str) -> Result<Host, String> {
    if let Some(inner) = text.strip_prefix('[') {
        let address: Ipv6Addr = inner
            .strip_suffix(']')
            .and_then(|inner| inner.parse().ok())
            .ok_or("between [ and ] stands an IPv6 address")?;
        // An IPv4 address in IPv6's clothes is that IPv4 address.
        return Ok(Host::Address(IpAddr::V6(address).to_canonical()));
    }
    if let Ok(address) = text.parse() {
        return match address {
            IpAddr::V4(_) => Ok(Host::Address(address)),
            IpAddr::V6(_) => Err("write an IPv6 address between [ and ]".to_owned()),
        };
    }
    // The dot at the end of a whole name says nothing more.
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    match name.strip_prefix("*.") {
        Some(domain) => check_name(domain).map(|()| Host::Below(domain.to_owned())),
        None => check_name(&name).map(|()| Host::Name(name)),
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let labels = || name.split('.');
    if !name.is_ascii() {
        return Err("write the name in its xn-- form".to_owned());
    }
    if name.len() > 253
        || labels().any(|label| !(1..=63).contains(&label.len()) || !label.chars().all(letters))
    {
        return Err(
            "a host name is letters, digits and hyphens, with single dots between; only a whole first part can be *"
                .to_owned(),
        );
    }
    // The C library would read 127.1 and 0x7f000001 as numbers: addresses that nobody sees in the name.
    let last = labels().next_back().unwrap_or_default();
    if last.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("write an IPv4 address as four numbers".to_owned());
    }
    Ok(())
}
