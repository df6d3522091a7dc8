//! Products of activations with weights that are kept as floats: the modes that the quantised ones are compared with.
//!
//! Each result is added up in one order, which depends on the level alone, so a token's results are the same to the
//! bit alone and among others.

use super::{
    Level, Threads,
    lanes::{Element, Kernel, Lanes, mul_add},
    tile::dots,
};

/// Below this many multiplications the work is done by the calling thread: waking others would cost more.
const PARALLEL_FROM: usize = 1 << 18;
/// Weight rows that are read together. A multiple of every level's lanes.
const BLOCK: usize = 16;
/// Pieces of work for each thread, so that one that is held up leaves little to wait for.
const TASKS_A_THREAD: usize = 8;
/// From this many tokens on, a block's rows are widened once for all of them, not by each again.
const WIDEN_FROM: usize = 32;

/// `weights`, rows of `cols`, times each row of `x`, put into `out`: for every row of `x` as many results as there are rows,
/// or `chosen` ones.
pub(super) fn products<E: Element>(
    threads: &Threads,
    weights: &[E],
    cols: usize,
    chosen: Option<&[u32]>,
    x: &[f32],
    out: &mut [f32],
) {
    products_with(Level::best(), threads, weights, cols, chosen, x, out);
}

fn products_with<E: Element>(
    level: Level,
    threads: &Threads,
    weights: &[E],
    cols: usize,
    chosen: Option<&[u32]>,
    x: &[f32],
    out: &mut [f32],
) {
    let count = chosen.map_or(weights.len() / cols, <[u32]>::len);
    let tokens = x.len() / cols;
    if out.is_empty() {
        return;
    }
    let row = |i: usize| {
        let row = chosen.map_or(i, |rows| rows[i] as usize);
        &weights[row * cols..(row + 1) * cols]
    };
    let tasks = if count * cols * tokens < PARALLEL_FROM {
        1
    } else {
        threads.count() * TASKS_A_THREAD
    };
    let size = count.div_ceil(tasks).next_multiple_of(BLOCK);
    // What a task writes are some neighbouring results of every token.
    let mut lines: Vec<_> = (out.chunks_exact_mut(count))
        .map(|line| line.chunks_mut(size))
        .collect();
    let mut pieces = Vec::with_capacity(count.div_ceil(size) * tokens);
    for _ in 0..count.div_ceil(size) {
        pieces.extend(lines.iter_mut().filter_map(Iterator::next));
    }
    threads.chunks(&mut pieces, tokens, &|task, out| {
        let rows = out.first().map_or(0, |out| out.len());
        let rows: Vec<&[E]> = (0..rows).map(|i| row(task * size + i)).collect();
        level.run(Task { rows, x, out });
    });
}

/// The products of some rows with all tokens.
struct Task<'t, 'o, E> {
    rows: Vec<&'t [E]>,
    x: &'t [f32],
    /// Of each token the results.
    out: &'t mut [&'o mut [f32]],
}

impl<E: Element> Kernel for Task<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<const N: usize, L: Lanes<N>>(self, lanes: L) {
        let Self { rows, x, out } = self;
        let widen = out.len() >= WIDEN_FROM && size_of::<E>() < size_of::<f32>();
        let mut wide = Vec::new();
        for (block, rows) in rows.chunks(BLOCK).enumerate() {
            let at = block * BLOCK;
            if widen {
                wide.resize(rows.len() * rows[0].len(), 0.0);
                for (row, wide) in rows.iter().zip(wide.chunks_exact_mut(rows[0].len())) {
                    let (vectors, rest) = row.as_chunks::<N>();
                    let (wide, wide_rest) = wide.as_chunks_mut::<N>();
                    for (vector, wide) in vectors.iter().zip(wide) {
                        lanes.store(E::load(lanes, vector), wide);
                    }
                    for (w, wide) in rest.iter().zip(wide_rest) {
                        *wide = w.widened();
                    }
                }
                let mut wide = wide.chunks_exact(rows[0].len());
                let mut places = [wide.next().unwrap_or_default(); BLOCK];
                for (place, row) in places[1..].iter_mut().zip(wide) {
                    *place = row;
                }
                block_products(lanes, &places, rows.len(), x, out, at);
            } else {
                let mut places = [rows[0]; BLOCK];
                places[..rows.len()].copy_from_slice(rows);
                block_products(lanes, &places, rows.len(), x, out, at);
            }
        }
    }
}

/// The products of the first `count` of `rows` with all tokens, to `at` on in each token's results.
#[inline(always)]
fn block_products<const N: usize, L: Lanes<N>, E: Element>(
    lanes: L,
    rows: &[&[E]; BLOCK],
    count: usize,
    x: &[f32],
    out: &mut [&mut [f32]],
    at: usize,
) {
    let cols = rows[0].len();
    let mut token = 0;
    while token + 4 <= out.len() {
        tokens_products::<N, 4, _, _>(
            lanes,
            rows,
            count,
            &x[token * cols..],
            &mut out[token..],
            at,
        );
        token += 4;
    }
    if token + 2 <= out.len() {
        tokens_products::<N, 2, _, _>(
            lanes,
            rows,
            count,
            &x[token * cols..],
            &mut out[token..],
            at,
        );
        token += 2;
    }
    if token < out.len() {
        tokens_products::<N, 1, _, _>(
            lanes,
            rows,
            count,
            &x[token * cols..],
            &mut out[token..],
            at,
        );
    }
}

/// The same for the first `T` tokens.
#[inline(always)]
fn tokens_products<const N: usize, const T: usize, L: Lanes<N>, E: Element>(
    lanes: L,
    rows: &[&[E]; BLOCK],
    count: usize,
    x: &[f32],
    out: &mut [&mut [f32]],
    at: usize,
) {
    let cols = rows[0].len();
    let mut tokens = [x[..0].as_chunks::<N>(); T];
    for (token, x) in tokens.iter_mut().zip(x.chunks_exact(cols)) {
        *token = x.as_chunks();
    }
    let mut vectors = [tokens[0].0; T];
    for (vectors, token) in vectors.iter_mut().zip(tokens) {
        *vectors = token.0;
    }
    let wide = N / T;
    for first in (0..count).step_by(wide) {
        let mut weights = [rows[0].as_chunks::<N>().0; N];
        for (weights, row) in weights.iter_mut().zip(&rows[first..first + wide]) {
            *weights = row.as_chunks().0;
        }
        let sums = dots::<N, T, _, _>(lanes, vectors, &weights[..wide]);
        for t in 0..T {
            for r in 0..wide.min(count - first) {
                // The columns behind the last whole vector.
                let rest = rows[first + r].as_chunks::<N>().1;
                let mut sum = sums[t * wide + r];
                for (x, w) in tokens[t].1.iter().zip(rest) {
                    sum = mul_add(lanes, *x, w.widened(), sum);
                }
                out[t][at + first + r] = sum;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;
    use proptest::prelude::*;

    use super::*;

    fn numbers(len: usize, step: usize) -> Vec<f32> {
        (0..len)
            .map(|i| ((i * step) % 1013) as f32 / 500.0 - 1.0)
            .collect()
    }

    fn all_products<E: Element>(
        level: Level,
        threads: &Threads,
        weights: &[E],
        cols: usize,
        chosen: Option<&[u32]>,
        x: &[f32],
    ) -> Vec<f32> {
        let count = chosen.map_or(weights.len() / cols, <[u32]>::len);
        let mut out = vec![0.0; x.len() / cols * count];
        products_with(level, threads, weights, cols, chosen, x, &mut out);
        out
    }

    proptest! {
        #[test]
        fn every_level_multiplies_as_f64_does_and_alone_as_among_others(
            rows in 1usize..150, cols in 1usize..200, tokens in 1usize..40,
            chosen in prop::option::of(prop::collection::vec(0usize..1000, 1..50)),
        ) {
            let threads = Threads::new(2).unwrap();
            let weights: Vec<bf16> = numbers(rows * cols, 37).into_iter().map(bf16::from_f32).collect();
            let wide: Vec<f32> = weights.iter().map(|w| w.to_f32()).collect();
            let x = numbers(tokens * cols, 13);
            let chosen: Option<Vec<u32>> = chosen.map(|c| c.into_iter().map(|i| (i % rows) as u32).collect());
            let chosen = chosen.as_deref();
            for level in Level::available() {
                let all = all_products(level, &threads, &weights, cols, chosen, &x);
                let bits = |numbers: &[f32]| -> Vec<u32> { numbers.iter().map(|v| v.to_bits()).collect() };
                let in_f32 = all_products(level, &threads, &wide, cols, chosen, &x);
                prop_assert_eq!(bits(&all), bits(&in_f32));
                let count = chosen.map_or(rows, <[u32]>::len);
                for (token, all) in all.chunks_exact(count).enumerate() {
                    let x = &x[token * cols..(token + 1) * cols];
                    let alone = all_products(level, &threads, &weights, cols, chosen, x);
                    prop_assert_eq!(bits(&alone), bits(all));
                    for (i, found) in all.iter().enumerate() {
                        let row = chosen.map_or(i, |rows| rows[i] as usize);
                        let row = &wide[row * cols..(row + 1) * cols];
                        let exact: f64 = x.iter().zip(row).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                        prop_assert!((f64::from(*found) - exact).abs() < 1e-4, "{level:?}: {found} {exact}");
                    }
                }
            }
        }
    }

    #[test]
    fn many_threads_give_the_bits_that_one_gives() {
        let (rows, cols) = (1000, 160);
        let (weights, x) = (numbers(rows * cols, 37), numbers(7 * cols, 13));
        let of = |threads| {
            let threads = Threads::new(threads).unwrap();
            all_products(Level::best(), &threads, &weights, cols, None, &x)
        };
        assert!(
            of(1)
                .iter()
                .map(|v| v.to_bits())
                .eq(of(3).iter().map(|v| v.to_bits()))
        );
    }
}
