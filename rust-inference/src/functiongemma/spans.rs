//! Where the values of a call stand in its text, by their JSON pointers: what is wrong with a value can then be told by
//! the byte at which it begins.

use std::collections::HashMap;

/// A key as a part of a JSON pointer.
pub(crate) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Its key; of an array's item the item.
    pub(crate) key: usize,
    pub(crate) value: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Spans {
    /// The pointer of what is being read.
    path: String,
    at: HashMap<String, Span>,
}

impl Spans {
    /// Goes down to what belongs to a key or an index; gives what leads back.
    pub(super) fn enter(&mut self, name: &str, key: usize, value: usize) -> usize {
        let parent = self.path.len();
        self.path.push('/');
        self.path.push_str(&escaped(name));
        self.set(key, value);
        parent
    }

    pub(super) fn leave(&mut self, parent: usize) {
        self.path.truncate(parent);
    }

    pub(super) fn set(&mut self, key: usize, value: usize) {
        self.at.insert(self.path.clone(), Span { key, value });
    }

    /// Where the value of a pointer stands; of what is not there, what it would belong to.
    pub(crate) fn of(&self, pointer: &str) -> Option<Span> {
        let mut pointer = pointer;
        loop {
            if let Some(span) = self.at.get(pointer) {
                return Some(*span);
            }
            pointer = pointer.rsplit_once('/')?.0;
        }
    }
}
