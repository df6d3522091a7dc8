//! The sums by which the Hub names what a file holds: SHA-256 of large files, git's SHA-1 of small ones.

use std::io::{self, Read};

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The sum of a file of `len` bytes, of the kind that `expected` is. `None` if it is of no known kind.
pub(super) fn sum(expected: &str, len: u64, mut file: impl Read) -> io::Result<Option<String>> {
    match expected.len() {
        64 => Ok(Some(digest::<Sha256>(b"", &mut file)?)),
        40 => {
            let head = format!("blob {len}\0");
            Ok(Some(digest::<Sha1>(head.as_bytes(), &mut file)?))
        }
        _ => Ok(None),
    }
}

fn digest<D: Digest>(head: &[u8], file: &mut impl Read) -> io::Result<String> {
    let mut digest = D::new();
    digest.update(head);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => digest.update(buffer.get(..read).unwrap_or_default()),
        }
    }
    let hex = |byte: &u8| format!("{byte:02x}");
    Ok(digest.finalize().iter().map(hex).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_sha256sum_and_git_hash_object() {
        let of = |kind: usize| sum(&"0".repeat(kind), 6, &b"hello\n"[..]).unwrap();
        assert_eq!(of(40).unwrap(), "ce013625030ba8dba906f756967f9e9ca394464a");
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert_eq!(of(64).unwrap(), sha256);
        assert_eq!(of(3), None);
    }
}
