//! Server-sent events: what comes in any portions, cut into the data of one event after the other.

/// Bytes of one event; nobody writes such a piece of an answer.
const MAX_EVENT: usize = 4 << 20;

/// An event that is larger than [`MAX_EVENT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Cuts a stream of bytes into events.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    data: Option<Vec<u8>>,
    /// The last byte ended a line, as `\r` does; a `\n` behind it belongs to it.
    returned: bool,
    begun: bool,
}

impl Events {
    /// Adds what has come to `out`, an event's data each.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<Vec<u8>>) -> Result<(), TooLarge> {
        for byte in bytes {
            let behind = std::mem::take(&mut self.returned);
            match byte {
                b'\n' if behind => {}
                b'\n' | b'\r' => {
                    self.returned = *byte == b'\r';
                    self.end_line(out);
                }
                _ => self.line.push(*byte),
            }
            if self.line.len() + self.data.as_ref().map_or(0, Vec::len) > MAX_EVENT {
                return Err(TooLarge);
            }
        }
        Ok(())
    }

    /// Nothing more comes. The last event may lack its empty line.
    pub(super) fn finish(mut self, out: &mut Vec<Vec<u8>>) {
        self.end_line(out);
        out.extend(self.data);
    }

    fn end_line(&mut self, out: &mut Vec<Vec<u8>>) {
        let line = std::mem::take(&mut self.line);
        let line = match line.strip_prefix("\u{feff}".as_bytes()) {
            Some(rest) if !self.begun => rest,
            _ => &line,
        };
        self.begun = true;
        if line.is_empty() {
            out.extend(self.data.take());
        } else if line.starts_with(b"{") {
            // No event at all: some write an error so when they fail in the middle.
            out.push(line.to_vec());
        } else if let Some(data) = line.strip_prefix(b"data:") {
            let data = data.strip_prefix(b" ").unwrap_or(data);
            match &mut self.data {
                Some(before) => {
                    before.push(b'\n');
                    before.extend(data);
                }
                None => self.data = Some(data.to_vec()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let (mut events, mut out) = (Events::default(), Vec::new());
        for part in parts {
            events.push(part, &mut out).unwrap();
        }
        events.finish(&mut out);
        out.into_iter()
            .map(|data| String::from_utf8(data).unwrap())
            .collect()
    }

    #[test]
    fn lines_of_an_event_are_put_together_and_all_else_is_left_out() {
        let text = "\u{feff}: hello\r\nevent: x\r\ndata: a\r\ndata:b\r\n\r\n\rdata\rdata:  c\n\nid: 1\n\n{\"error\":1}\ndata: last";
        assert_eq!(
            run([text.as_bytes()]),
            ["a\nb", " c", "{\"error\":1}", "last"]
        );
    }

    #[test]
    fn an_event_without_end_is_bounded() {
        let (mut events, mut out) = (Events::default(), Vec::new());
        let portion = vec![b'x'; 1 << 16];
        let refused = (0..=MAX_EVENT >> 16).find_map(|_| events.push(&portion, &mut out).err());
        assert_eq!((refused, out.len()), (Some(TooLarge), 0));
        // Of many lines, too.
        let mut events = Events::default();
        let line = [b"data:".as_slice(), &portion, b"\n"].concat();
        let refused = (0..=MAX_EVENT >> 16).find_map(|_| events.push(&line, &mut out).err());
        assert_eq!(refused, Some(TooLarge));
    }

    proptest! {
        #[test]
        fn portions_do_not_matter(
            text in "(data: ?[aé{]{0,3}|:[ab]|[ab]{0,3}|\r\n|\n|\r){0,12}",
            cuts in prop::collection::vec(0usize..60, 0..6),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts = cuts.windows(2).map(|two| &bytes[two[0]..two[1]]);
            prop_assert_eq!(run(parts), run([bytes]));
        }

        #[test]
        fn what_was_written_is_read(datas in prop::collection::vec("[a-zé {}\"]{1,8}", 0..6), end in "(\n|\r\n|\r)") {
            let text: String = datas.iter().flat_map(|data| ["data: ", data, &end, &end]).collect();
            prop_assert_eq!(run([text.as_bytes()]), datas);
        }
    }
}
