//! Where no kernel can open a socket by its path without following symbolic links, there is no connection to one: what a
//! tool may write to could lead elsewhere.

use std::{os::fd::OwnedFd, path::Path};

use super::refused;
use crate::{policy::Endpoint, protocol::work::Refused};

#[expect(clippy::unused_async, reason = "elsewhere it waits")]
pub(super) async fn connect(path: &Path) -> Result<OwnedFd, Refused> {
    let endpoint = Endpoint::Unix(path.to_owned());
    let why = format!(
        "{endpoint}: only on Linux can a socket's path be opened without following links; name a TCP address"
    );
    Err(refused(libc::ENOTSUP, why))
}
