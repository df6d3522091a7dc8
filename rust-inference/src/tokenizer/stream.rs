//! Bytes of tokens to text. A character may be spread over several tokens, and a reader must only ever see whole ones.

/// Bytes to text as they come: a character that is not whole yet is held back.
#[derive(Debug, Default)]
pub struct Utf8Stream {
    held: Vec<u8>,
}

impl Utf8Stream {
    /// Adds bytes and gives the text that is whole; bytes that can never become text come out as U+FFFD.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let mut text = String::new();
        let mut kept = 0;
        for chunk in self.held.utf8_chunks() {
            text.push_str(chunk.valid());
            kept = chunk.invalid().len();
            if kept > 0 {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        // Only at the very end can a broken character still be an unfinished one.
        let end = self.held.get(self.held.len() - kept..).unwrap_or_default();
        let unfinished = matches!(std::str::from_utf8(end), Err(e) if e.error_len().is_none());
        if unfinished {
            text.pop();
            self.held.drain(..self.held.len() - kept);
        } else {
            self.held.clear();
        }
        text
    }

    /// What was held back to the end, as U+FFFD.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.held)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_in_any_portions_give_the_same_text(bytes in prop::collection::vec(any::<u8>(), 0..40), cuts in prop::collection::vec(1usize..5, 0..40)) {
            let mut stream = Utf8Stream::default();
            let (mut text, mut rest) = (String::new(), bytes.as_slice());
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                text += &stream.push(head);
                rest = tail;
            }
            text += &stream.push(rest);
            text += &stream.finish();
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
