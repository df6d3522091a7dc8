//! What was made of the last tool sets. Line after line, question after question brings the same tools: they are read
//! and compiled once.

/// Tool sets that are kept.
const MOST: usize = 128;

/// Bytes of JSON text that may be kept; what is made of them is a small multiple.
const BYTES: usize = 16 << 20;

/// By their text, the one used last at the end.
#[derive(Debug)]
pub struct Cache<T>(Vec<(String, T)>);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Clone> Cache<T> {
    pub fn new() -> Self {
        Self::default()
    }

    /// What is made of a text, now or before.
    pub fn get(&mut self, text: &str, make: impl FnOnce(&str) -> T) -> T {
        self.find(text).unwrap_or_else(|| {
            let made = make(text);
            self.keep(text, made.clone());
            made
        })
    }

    /// What was made of a text before.
    pub fn find(&mut self, text: &str) -> Option<T> {
        let at = self.0.iter().rposition(|(known, _)| known == text)?;
        let found = self.0.remove(at);
        let made = found.1.clone();
        self.0.push(found);
        Some(made)
    }

    /// What was made of a text is for later, too. Two may have made it at once.
    pub fn keep(&mut self, text: &str, made: T) {
        self.0.retain(|(known, _)| known != text);
        self.0.push((text.to_owned(), made));
        let mut bytes: usize = self.0.iter().map(|(text, _)| text.len()).sum();
        while self.0.len() > MOST || (bytes > BYTES && self.0.len() > 1) {
            bytes -= self.0.remove(0).0.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_again_is_made_once_and_the_oldest_goes_first() {
        let mut made = Vec::new();
        let mut cache = Cache::new();
        let mut use_of = |text: &str| {
            cache.get(text, |text| {
                made.push(text.to_owned());
                text.len()
            })
        };
        assert_eq!(
            (use_of("first"), use_of("other"), use_of("first")),
            (5, 5, 5)
        );
        for i in 0..MOST - 1 {
            use_of(&i.to_string());
        }
        use_of("first");
        use_of("other");
        let count = |text: &str| made.iter().filter(|known| *known == text).count();
        assert_eq!(
            (count("first"), count("other"), made.len()),
            (1, 2, MOST + 2)
        );
    }

    #[test]
    fn large_sets_are_not_hoarded() {
        let mut cache = Cache::new();
        for i in 0..8 {
            cache.get(&format!("{i}{}", " ".repeat(BYTES / 4)), |_| ());
        }
        assert_eq!(cache.0.len(), 3);
        cache.get(&" ".repeat(2 * BYTES), |_| ());
        assert_eq!(cache.0.len(), 1);
    }
}
