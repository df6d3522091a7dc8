//! Languages of a few given texts: names, and the values of an `enum`.

use std::collections::VecDeque;

use super::table::Table;

/// A tree over the values, level by level.
pub(super) fn tree(values: &[impl AsRef<[u8]>]) -> Table {
    let mut sorted: Vec<&[u8]> = values.iter().map(AsRef::as_ref).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut first = Vec::new();
    let mut edges = Vec::new();
    let mut accept = Vec::new();
    // Each node with the values that pass it and its depth.
    let mut queue: VecDeque<(&[&[u8]], usize)> = VecDeque::from([(sorted.as_slice(), 0)]);
    let mut nodes = 1;
    while let Some((values, depth)) = queue.pop_front() {
        first.push(edges.len() as u32);
        let ends = values.first().is_some_and(|value| value.len() == depth);
        let longer = values.get(usize::from(ends)..).unwrap_or_default();
        accept.push(ends);
        let byte_of = |value: &[u8]| value.get(depth).copied();
        for group in longer.chunk_by(|one, other| byte_of(one) == byte_of(other)) {
            if let Some(byte) = group.first().and_then(|value| byte_of(value)) {
                edges.push((byte, nodes));
                nodes += 1;
                queue.push_back((group, depth + 1));
            }
        }
    }
    first.push(edges.len() as u32);
    Table::of_tree(first, edges, accept)
}
