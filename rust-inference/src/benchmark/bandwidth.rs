//! How fast memory can be read, with the same threads that decode and over as many bytes as a token reads: a model that
//! fits into a cache is then held to the cache's speed, and a large one to the memory's.

use std::{hint::black_box, time::Instant};

use rust_inference::kernels::Threads;

/// Words that a thread takes at a time: 1 MiB.
const TASK: usize = 1 << 17;
/// Less would be over before it can be measured.
const LEAST_BYTES: usize = 1 << 20;
/// Sums side by side, so that no addition waits for the one before.
const LANES: usize = 8;

/// What is read: words in memory that were written before.
#[derive(Debug)]
pub(super) struct Memory(Vec<u64>);

impl Memory {
    /// By the allocator that weights have. Not zeros, for which the kernel would give one page again and again.
    pub(super) fn new(bytes: usize) -> Self {
        Self(vec![1u64; bytes.max(LEAST_BYTES) / 8])
    }

    /// Reads all of it once. In bytes a second.
    pub(super) fn read(&self, threads: &Threads) -> f64 {
        let tasks = self.0.len().div_ceil(TASK);
        let since = Instant::now();
        threads.run(tasks, &|i| {
            black_box(self.0.chunks(TASK).nth(i).map(sum));
        });
        (self.0.len() * 8) as f64 / since.elapsed().as_secs_f64()
    }
}

fn sum(words: &[u64]) -> u64 {
    let mut sums = [0u64; LANES];
    for words in words.chunks_exact(LANES) {
        for (sum, word) in sums.iter_mut().zip(words) {
            *sum ^= word;
        }
    }
    sums.iter().fold(0, |all, sum| all ^ sum)
}
