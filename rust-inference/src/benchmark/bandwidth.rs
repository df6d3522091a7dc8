//! How fast memory can be read, with the same threads that decode and over as many bytes as a token reads: a model that
//! fits into a cache is then held to the cache's speed, and a large one to the memory's.

use std::{hint::black_box, time::Instant};

use rust_inference::kernels::Threads;

use super::sample::Sample;

/// Words that a thread takes at a time: 128 KiB.
const TASK: usize = 1 << 14;
/// Less would be over before it can be measured.
const LEAST_BYTES: usize = 1 << 20;
/// Sums side by side, so that no addition waits for the one before.
const LANES: usize = 32;

/// In GB/s.
pub(super) fn read(threads: &Threads, bytes: usize, runs: usize) -> Sample {
    // Of the kind of numbers, and by the allocator, that weights have. Not zeros, which the kernel would share.
    let words = vec![1u64; bytes.max(LEAST_BYTES) / 8];
    let tasks: Vec<&[u64]> = words.chunks(TASK).collect();
    let rates = (0..=runs).map(|_| {
        let since = Instant::now();
        threads.run(tasks.len(), &|i| {
            black_box(tasks.get(i).map(|words| sum(words)));
        });
        (words.len() * 8) as f64 / since.elapsed().as_secs_f64() / 1e9
    });
    Sample::of(rates.skip(1).collect())
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
