//! Which tokens may stand within a text: most of a vocabulary, so the answer is kept for each node of a language.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    language::{Language, State},
    next::Candidates,
};
use crate::tokenizer::Tree;

/// Tokens that lead to the same node by the same number of characters.
#[derive(Debug)]
struct Group {
    node: u32,
    characters: u32,
    /// Ascending.
    ids: Arc<[u32]>,
}

/// The tokens that fit a text from one node on.
#[derive(Debug)]
pub(super) struct TextTokens {
    groups: Vec<Group>,
    /// All of them: a mask where they are many.
    all: Arc<Candidates>,
    count: usize,
}

/// Above this part of the vocabulary a mask over all of it costs less than a list.
const MANY: usize = 8;

impl TextTokens {
    pub(super) fn new(
        tree: Tree<'_>,
        language: &Language,
        node: u32,
        json: bool,
        size: usize,
    ) -> Self {
        let mut groups: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
        tree.walk(
            (node, 0u32),
            |(node, characters), byte| {
                // Those with a quote or a backslash mean more than themselves in JSON: they are looked at one by one.
                if json && (byte < 0x20 || matches!(byte, b'"' | b'\\')) {
                    return None;
                }
                let (node, starts) = language.node_step(node, byte)?;
                Some((node, characters + u32::from(starts)))
            },
            |id, group| groups.entry(group).or_default().push(id),
        );
        let groups: Vec<Group> = (groups.into_iter())
            .map(|((node, characters), mut ids)| {
                ids.sort_unstable();
                Group {
                    node,
                    characters,
                    ids: ids.into(),
                }
            })
            .collect();
        let count = groups.iter().map(|group| group.ids.len()).sum();
        let all = candidates(groups.iter().map(|group| &*group.ids), count, size);
        Self {
            groups,
            all: Arc::new(all),
            count,
        }
    }

    /// The groups that still leave room for a text's end, with the state behind each.
    pub(super) fn groups(
        &self,
        language: &Language,
        count: u32,
    ) -> impl Iterator<Item = (State, &Arc<[u32]>)> {
        (self.groups.iter()).filter_map(move |group| {
            let state = language.at(group.node, count.saturating_add(group.characters))?;
            Some((state, &group.ids))
        })
    }

    /// All tokens, if none of them takes too many characters.
    pub(super) fn all(&self, language: &Language, count: u32) -> Option<(&Arc<Candidates>, usize)> {
        let fit = self.groups(language, count).count() == self.groups.len();
        fit.then_some((&self.all, self.count))
    }
}

/// `count` tokens as a list or a mask.
pub(super) fn candidates<'a>(
    parts: impl Iterator<Item = &'a [u32]>,
    count: usize,
    size: usize,
) -> Candidates {
    if count * MANY < size {
        let mut list: Vec<u32> = parts.flatten().copied().collect();
        list.sort_unstable();
        list.dedup();
        return Candidates::List(list);
    }
    let mut mask = vec![0u64; size.div_ceil(64)];
    for id in parts.flatten() {
        if let Some(word) = mask.get_mut(*id as usize / 64) {
            *word |= 1 << (id % 64);
        }
    }
    Candidates::Mask(mask)
}
