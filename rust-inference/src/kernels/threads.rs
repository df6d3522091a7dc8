//! The threads that compute.

use rayon::prelude::*;

/// `count` threads, the caller's included.
#[derive(Debug)]
pub struct Threads {
    pool: rayon::ThreadPool,
}

impl Threads {
    pub fn new(count: usize) -> std::io::Result<Self> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(|i| format!("compute-{i}"))
            .build()
            .map(|pool| Self { pool })
            .map_err(std::io::Error::other)
    }

    pub fn count(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs `task(i)` for each i below `tasks`, and returns when all are done.
    pub fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        self.pool
            .install(|| (0..tasks).into_par_iter().for_each(task));
    }

    /// Runs `task` on each `size` entries of `out`, with the number of the piece.
    pub fn chunks<T: Send>(
        &self,
        out: &mut [T],
        size: usize,
        task: &(dyn Fn(usize, &mut [T]) + Sync),
    ) {
        self.pool.install(|| {
            out.par_chunks_mut(size)
                .enumerate()
                .for_each(|(i, out)| task(i, out));
        });
    }
}
