//! Telling a peer that is gone from one that has only said all it had to say. Both read as the end of the stream;
//! the kernel knows the difference (HUP), and `printf … | socat` must not cancel its own request.
use std::{
    io,
    os::{fd::AsFd, unix::net},
};

use tokio::{io::Interest, net::UnixStream};

/// Waits until the peer of `socket` is gone. Watches a descriptor of its own, because clearing its readiness must not
/// put the connection's writer to sleep.
pub(super) async fn hangup(socket: impl AsFd) -> io::Result<()> {
    let socket = UnixStream::from_std(net::UnixStream::from(socket.as_fd().try_clone_to_owned()?))?;
    loop {
        if socket.ready(Interest::WRITABLE).await?.is_write_closed() {
            return Ok(());
        }
        // Room to write is no news: wait for the next change.
        let _ = socket.try_io(Interest::WRITABLE, || {
            Err::<(), _>(io::ErrorKind::WouldBlock.into())
        });
    }
}
