//! What the pool's joins cost: the loop of a decoded token, with reads in the place of products, on our pool and on
//! rayon's, on a machine that does nothing else and on one that is shared.
//!
//! `cargo bench -p rust-inference --bench threads [-- THREADS [BUSY…]]`: BUSY threads compute all the while.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a measurement, not a library"
)]

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread::{self, available_parallelism},
    time::{Duration, Instant},
};

use rayon::prelude::*;
use rust_inference::kernels::Threads;

/// Bytes of int8 weights of each product of a layer of the 270M shape: stacked query, key and value; output; stacked
/// gate and up; down. Attention over a short context stands in between.
const LAYER: [usize; 5] = [1536 * 640, 1 << 14, 1024 * 640, 4096 * 640, 2048 * 640];
const LAYERS: usize = 18;
const HEAD: usize = 262_144 * 640;
/// Of one task: 64 rows of 640.
const TASK: usize = 64 * 640;
/// What a thread does alone between two joins: norms, rotations.
const BETWEEN: Duration = Duration::from_micros(3);
const TOKENS: usize = 30;

type Job<'a> = &'a (dyn Fn(usize) + Sync);
type Pool<'a> = &'a dyn Fn(usize, Job<'_>);

fn token(weights: &[u64], pool: Pool<'_>, head: bool) {
    let mut at = 0;
    let mut product = |bytes: usize| {
        let rows = &weights[at..at + bytes / 8];
        at += bytes / 8;
        let sum = AtomicU64::new(0);
        let tasks: Vec<&[u64]> = rows.chunks(TASK / 8).collect();
        pool(tasks.len(), &|i| {
            sum.fetch_add(tasks[i].iter().fold(0, |a, b| a ^ b), Relaxed);
        });
        black_box(sum.into_inner());
        let since = Instant::now();
        while since.elapsed() < BETWEEN {}
    };
    for _ in 0..LAYERS {
        LAYER.into_iter().for_each(&mut product);
    }
    if head {
        product(HEAD);
    }
}

fn main() {
    let mut numbers = std::env::args().filter_map(|arg| arg.parse::<usize>().ok());
    let cores = available_parallelism().map_or(1, usize::from);
    let count = numbers.next().unwrap_or(cores);
    let mut busy: Vec<usize> = numbers.collect();
    if busy.is_empty() {
        busy = vec![0, cores];
    }
    let weights = vec![1u64; (LAYERS * LAYER.iter().sum::<usize>() + HEAD) / 8];
    let ours = Threads::new(count).expect("threads");
    let rayons = rayon::ThreadPoolBuilder::new()
        .num_threads(count)
        .build()
        .expect("threads");
    let alone = Threads::new(1).expect("threads");
    let pools: [(&str, Pool<'_>); 3] = [
        ("ours", &|n, job| ours.run(n, job)),
        ("rayon", &|n, job| {
            rayons.install(|| (0..n).into_par_iter().for_each(job));
        }),
        ("one thread", &|n, job| alone.run(n, job)),
    ];
    println!("{count} threads, µs a token: median (fastest, slowest) of {TOKENS}");
    for busy in busy {
        for head in [false, true] {
            let stop = AtomicBool::new(false);
            thread::scope(|scope| {
                for _ in 0..busy {
                    scope.spawn(|| {
                        while !stop.load(Relaxed) {
                            std::hint::black_box(());
                        }
                    });
                }
                let mut times = pools.map(|_| Vec::with_capacity(TOKENS));
                // In turn, so that what else goes on strikes all of them; five tokens each, as they come in a row.
                for _ in 0..TOKENS / 5 {
                    for ((_, pool), times) in pools.iter().zip(&mut times) {
                        token(&weights, *pool, head);
                        for _ in 0..5 {
                            let since = Instant::now();
                            token(&weights, *pool, head);
                            times.push(since.elapsed().as_micros());
                        }
                    }
                }
                stop.store(true, Relaxed);
                for ((name, _), times) in pools.iter().zip(&mut times) {
                    times.sort_unstable();
                    println!(
                        "busy {busy:>2} {} {name:<10} {:>6} ({}, {})",
                        if head { "decode" } else { "forced" },
                        times[times.len() / 2],
                        times[0],
                        times[times.len() - 1],
                    );
                }
            });
        }
    }
}
