//! Who may ask. A Unix socket is its owner's. On TCP every user of the machine can connect, and with them the pages in their
//! browsers: so either there is a key, or the address is this machine's and nothing is answered that could come from a page.

use std::{fmt, net::IpAddr};

use hyper::{
    HeaderMap, StatusCode, Uri, Version,
    header::{AUTHORIZATION, HOST, ORIGIN},
};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::error::ApiError;

/// What clients must show. Kept as its hash, which is all that is needed of it.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Key {
    /// # Errors
    /// If no header could carry it.
    pub fn new(key: &str) -> Result<Self, &'static str> {
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("give a key of letters, digits and signs, without spaces");
        }
        Ok(Self::hash(key))
    }

    fn hash(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// In the same time, however much of it is right.
    fn is(&self, shown: &str) -> bool {
        self.0.ct_eq(&Self::hash(shown).0).into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Through which door a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// A Unix socket: its owner's processes only.
    Owner,
    /// This machine's TCP: its users, and what their browsers show.
    Machine,
    /// Everybody.
    World,
}

/// Whether the key, if there is one, was shown.
pub(super) fn check_key(key: Option<&Key>, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(key) = key else {
        return Ok(());
    };
    let shown = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    if shown.is_some_and(|shown| key.is(shown)) {
        return Ok(());
    }
    let message = match shown {
        Some(_) => "the API key is not the one that this server was started with",
        None => "this server wants its API key: send Authorization: Bearer KEY",
    };
    let status = StatusCode::UNAUTHORIZED;
    let mut error = ApiError::new(status, "invalid_request_error", message);
    error.code = Some("invalid_api_key");
    error.header = Some(&["www-authenticate", "Bearer"]);
    Err(error)
}

/// Where there is no key: that no page of the web is behind a request. It would bear the page's `Origin`; or, where the
/// page's own name was made to lead to this machine, that name as `Host`.
pub(super) fn check_source(
    uri: &Uri,
    version: Version,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    let refuse = |what: &str| {
        let message = format!(
            "{what}: without an API key only programs of this machine are answered, under the names localhost and 127.0.0.1"
        );
        let status = StatusCode::FORBIDDEN;
        Err(ApiError::new(status, "permission_error", message).with_code("foreign_origin"))
    };
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return refuse("there is more than one Host");
    }
    match (uri.host(), host) {
        // Browsers always send one.
        (None, None) if version < Version::HTTP_11 => {}
        (None, None) => return refuse("there is no Host"),
        (Some(host), _) if !is_here(host) => return refuse("the Host is foreign"),
        (_, Some(host)) if !host.to_str().is_ok_and(|host| is_here(name(host))) => {
            return refuse("the Host is foreign");
        }
        _ => {}
    }
    for origin in headers.get_all(ORIGIN) {
        let origin = origin.to_str().ok().and_then(|text| text.split_once("://"));
        if !origin.is_some_and(|(_, host)| is_here(name(host))) {
            return refuse("the Origin is foreign");
        }
    }
    if headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "cross-site")
    {
        return refuse("a page of another site asks");
    }
    Ok(())
}

/// Of a name and a port the name.
fn name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_here(name: &str) -> bool {
    let address = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address: Result<IpAddr, _> = address.unwrap_or(name).parse();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        (list.iter())
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_the_key_opens() {
        let key = Key::new("sk-1").unwrap();
        let check = |list: &[_]| check_key(Some(&key), &headers(list));
        assert!(check(&[("authorization", "Bearer sk-1")]).is_ok());
        assert!(check(&[("authorization", "bearer  sk-1")]).is_ok());
        for wrong in [
            "Bearer sk-12",
            "Bearer sk-",
            "Bearer ",
            "Bearer",
            "sk-1",
            "Basic sk-1",
            "",
        ] {
            let error = check(&[("authorization", wrong)]).unwrap_err();
            assert_eq!(
                (error.status.as_u16(), error.code),
                (401, Some("invalid_api_key"))
            );
        }
        assert!(check(&[]).is_err());
        assert!(check_key(None, &headers(&[])).is_ok());
        assert!(!format!("{key:?}").contains("sk-1"));
        assert!(Key::new("").is_err() && Key::new("a b").is_err() && Key::new("ä").is_err());
    }

    #[test]
    fn what_a_page_of_the_web_would_send_is_refused() {
        let check = |list: &[_]| {
            check_source(
                &Uri::from_static("/v1/models"),
                Version::HTTP_11,
                &headers(list),
            )
        };
        for fine in [
            &[("host", "localhost:8080")][..],
            &[("host", "LOCALHOST")],
            &[("host", "127.0.0.1:80")],
            &[("host", "[::1]:80")],
            &[("host", "localhost"), ("origin", "http://localhost:3000")],
            &[("host", "localhost"), ("sec-fetch-site", "none")],
        ] {
            assert!(check(fine).is_ok(), "{fine:?}");
        }
        for foreign in [
            &[][..],
            &[("host", "evil.example")],
            &[("host", "localhost.evil.example")],
            &[("host", "127.0.0.1.evil.example:80")],
            &[("host", "192.168.1.1")],
            &[("host", "")],
            &[("host", "localhost"), ("host", "evil.example")],
            &[("host", "localhost"), ("origin", "https://evil.example")],
            &[("host", "localhost"), ("origin", "null")],
            &[
                ("host", "localhost"),
                ("origin", "http://localhost@evil.example"),
            ],
            &[("host", "localhost"), ("sec-fetch-site", "cross-site")],
        ] {
            assert_eq!(check(foreign).unwrap_err().status, 403, "{foreign:?}");
        }
        let whole = Uri::from_static("http://evil.example/v1/models");
        let list = headers(&[("host", "localhost")]);
        assert!(check_source(&whole, Version::HTTP_11, &list).is_err());
        let old = Uri::from_static("/health");
        assert!(check_source(&old, Version::HTTP_10, &headers(&[])).is_ok());
    }
}
