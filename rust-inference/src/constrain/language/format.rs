//! The formats of strings.
//!
//! Each is a language of texts that every validator takes for valid: the usual forms, without rarities such as leap
//! seconds, quoted local parts of addresses, or names in punycode.

use std::sync::OnceLock;

use super::{draft::Draft, pattern};

/// A format that strings can be held to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    Date,
    Time,
    DateTime,
    Duration,
    Email,
    Hostname,
    Ipv4,
    Ipv6,
    Uri,
    UriReference,
    Uuid,
    JsonPointer,
    RelativeJsonPointer,
}

const ALL: [(&str, Format); 13] = [
    ("date", Format::Date),
    ("time", Format::Time),
    ("date-time", Format::DateTime),
    ("duration", Format::Duration),
    ("email", Format::Email),
    ("hostname", Format::Hostname),
    ("ipv4", Format::Ipv4),
    ("ipv6", Format::Ipv6),
    ("uri", Format::Uri),
    ("uri-reference", Format::UriReference),
    ("uuid", Format::Uuid),
    ("json-pointer", Format::JsonPointer),
    ("relative-json-pointer", Format::RelativeJsonPointer),
];

const YEAR: &str = "(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})";
const LEAP_YEAR: &str =
    "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)";
const MONTH_AND_DAY: &str = "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])\
    |(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))";
const TIME: &str = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?\
    (?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";
const HOSTNAME: &str = "[A-Za-z0-9](?:-?[A-Za-z0-9])*(?:\\.[A-Za-z0-9](?:-?[A-Za-z0-9])*)*";
/// Of the dots in a name none is farther from the next.
const LABELS: &str = "[A-Za-z0-9-]{1,63}(?:\\.[A-Za-z0-9-]{1,63})*";
const ATOM: &str = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
const IPV4: &str = "(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\\.){3}\
    (?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const GROUP: &str = "[0-9A-Fa-f]{1,4}";
const POINTER: &str = "(?:/(?:[^~/]|~[01])*)*";
/// A character of a path.
const PATH: &str = "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})";
const COUNT: &str = "[0-9]{1,9}";

impl Format {
    /// By its name in a schema.
    pub fn parse(name: &str) -> Option<Self> {
        (ALL.iter())
            .find(|(known, _)| *known == name)
            .map(|&(_, format)| format)
    }

    /// The most characters that it allows.
    pub(super) fn longest(self) -> Option<u32> {
        match self {
            Self::Hostname => Some(253),
            Self::Email => Some(254),
            _ => None,
        }
    }

    pub(super) fn draft(self) -> &'static Draft {
        static DRAFTS: [OnceLock<Draft>; ALL.len()] = [const { OnceLock::new() }; ALL.len()];
        static NOTHING: OnceLock<Draft> = OnceLock::new();
        let at = ALL.iter().position(|&(_, format)| format == self);
        let place = at.and_then(|at| DRAFTS.get(at)).unwrap_or(&NOTHING);
        place.get_or_init(|| {
            let parts = self.expressions();
            (parts.iter().map(|part| pattern::of_rust(part).ok()))
                .reduce(|one, other| one?.both(&other?, super::text::MOST_NODES))
                .flatten()
                .map_or_else(Draft::nothing, Draft::minimal)
        })
    }

    /// Expressions that all match the whole text.
    fn expressions(self) -> Vec<String> {
        let date = format!("(?:{YEAR}-{MONTH_AND_DAY}|{LEAP_YEAR}-02-29)");
        match self {
            Self::Date => vec![date],
            Self::Time => vec![TIME.to_owned()],
            Self::DateTime => vec![format!("{date}T{TIME}")],
            Self::Duration => vec![duration()],
            Self::Email => vec![
                format!("{ATOM}(?:\\.{ATOM})*@{HOSTNAME}"),
                format!("[!-?A-~]{{1,64}}@{LABELS}"),
            ],
            Self::Hostname => vec![HOSTNAME.to_owned(), LABELS.to_owned()],
            Self::Ipv4 => vec![IPV4.to_owned()],
            Self::Ipv6 => vec![ipv6()],
            Self::Uri => vec![uri()],
            Self::UriReference => vec![format!("(?:{}|{})", uri(), relative())],
            Self::Uuid => vec!["[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}".to_owned()],
            Self::JsonPointer => vec![POINTER.to_owned()],
            Self::RelativeJsonPointer => vec![format!("(?:0|[1-9][0-9]{{0,8}})(?:#|{POINTER})")],
        }
    }
}

fn duration() -> String {
    let second = format!("{COUNT}S");
    let minute = format!("{COUNT}M(?:{second})?");
    let hour = format!("{COUNT}H(?:{minute})?");
    let time = format!("T(?:{hour}|{minute}|{second})");
    let day = format!("{COUNT}D");
    let month = format!("{COUNT}M(?:{day})?");
    let year = format!("{COUNT}Y(?:{month})?");
    format!("P(?:(?:{year}|{month}|{day})(?:{time})?|{time}|{COUNT}W)")
}

/// Eight groups, of which two colons leave out one or more, and the last two may be written like an IPv4 address.
fn ipv6() -> String {
    let mut forms = vec![format!("(?:{GROUP}:){{6}}(?:{GROUP}:{GROUP}|{IPV4})")];
    for before in 0..=7_usize {
        let left = match before {
            0 => String::new(),
            _ => format!("{GROUP}(?::{GROUP}){{{}}}", before - 1),
        };
        let mut right = Vec::new();
        if let Some(more) = 6_usize.checked_sub(before) {
            right.push(format!("{GROUP}(?::{GROUP}){{0,{more}}}"));
        }
        if let Some(more) = 5_usize.checked_sub(before) {
            right.push(format!("(?:{GROUP}:){{0,{more}}}{IPV4}"));
        }
        forms.push(format!("{left}::(?:{})?", right.join("|")));
    }
    format!("(?:{})", forms.join("|"))
}

/// What follows the path.
fn rest_of_uri() -> String {
    format!("(?:\\?(?:{PATH}|[/?])*)?(?:#(?:{PATH}|[/?])*)?")
}

/// With two slashes, a user, a host and a port, and a path.
fn authority() -> String {
    let name = "(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})";
    let user = "(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})";
    format!(
        "//(?:{user}*@)?(?:{name}*|\\[{}\\])(?::[0-9]{{0,5}})?(?:/{PATH}*)*",
        ipv6()
    )
}

fn uri() -> String {
    let path = format!("(?:/(?:{PATH}+(?:/{PATH}*)*)?|{PATH}+(?:/{PATH}*)*)");
    format!(
        "[A-Za-z][A-Za-z0-9+.-]*:(?:{}|{path}|){}",
        authority(),
        rest_of_uri()
    )
}

fn relative() -> String {
    let first = "(?:[A-Za-z0-9._~!$&'()*+,;=@-]|%[0-9A-Fa-f]{2})";
    let path = format!("(?:/(?:{PATH}+(?:/{PATH}*)*)?|{first}+(?:/{PATH}*)*)");
    format!("(?:{}|{path}|){}", authority(), rest_of_uri())
}

#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = (&'static str, Format)> {
    ALL.into_iter()
}
