//! Stop texts: where a client wants an answer to end.

/// Looks for stop texts in running text. What may be the beginning of one is held back.
pub(in crate::backend) struct StopTexts {
    stops: Vec<String>,
    held: String,
    pub(in crate::backend) found: bool,
}

impl StopTexts {
    pub(in crate::backend) fn new(stops: Vec<String>) -> Self {
        Self {
            stops,
            held: String::new(),
            found: false,
        }
    }

    pub(in crate::backend) fn push(&mut self, text: &str) -> String {
        if self.found {
            return String::new();
        }
        self.held.push_str(text);
        // The one that ends first, as if the text had come letter by letter: portions must not matter.
        let first = self
            .stops
            .iter()
            .filter_map(|stop| self.held.find(stop).map(|at| (at + stop.len(), at)))
            .min();
        if let Some((_, at)) = first {
            self.found = true;
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let kept = self
            .held
            .char_indices()
            .map(|(at, _)| at)
            .find(|at| {
                let tail = self.held.get(*at..).unwrap_or_default();
                self.stops.iter().any(|stop| stop.starts_with(tail))
            })
            .unwrap_or(self.held.len());
        let tail = self.held.split_off(kept);
        std::mem::replace(&mut self.held, tail)
    }

    pub(in crate::backend) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(stops: &[&str], parts: &[&str]) -> (String, bool) {
        let mut texts = StopTexts::new(stops.iter().map(|s| (*s).to_owned()).collect());
        let mut out: String = parts.iter().map(|part| texts.push(part)).collect();
        out += &texts.finish();
        (out, texts.found)
    }

    #[test]
    fn text_ends_before_the_first_stop() {
        assert_eq!(run(&["END"], &["a E", "N", "D b"]), ("a ".to_owned(), true));
        assert_eq!(run(&["END"], &["a E", "NE"]), ("a ENE".to_owned(), false));
        assert_eq!(run(&["bc", "abcd"], &["ab", "cd"]), ("a".to_owned(), true));
        assert_eq!(run(&[], &["é", ""]), ("é".to_owned(), false));
    }

    proptest! {
        #[test]
        fn portions_do_not_matter(text in "[abé]{0,30}", stop in "[abé]{1,4}", cut in 0usize..30) {
            let at = text.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(text.len());
            let (head, tail) = text.split_at(at);
            let whole = run(&[&stop], &[&text]);
            prop_assert_eq!(&run(&[&stop], &[head, tail]), &whole);
            let expected = text.split(&stop).next().unwrap().to_owned();
            prop_assert_eq!(whole.1, text.contains(&stop));
            prop_assert_eq!(whole.0, if whole.1 { expected } else { text });
        }
    }
}
