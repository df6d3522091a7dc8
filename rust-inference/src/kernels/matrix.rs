//! Weight matrices, one row an output, and their product with activations.

use super::{Level, Threads};
use half::bf16;

/// Below this many multiplications the work is done by the calling thread: waking others would cost more.
const PARALLEL_FROM: usize = 1 << 20;
/// Rows that one thread takes at a time.
const ROWS_A_TASK: usize = 64;

/// The numbers of a matrix, as the checkpoint stores them.
#[derive(Clone, Debug)]
pub enum Values {
    F32(Vec<f32>),
    Bf16(Vec<bf16>),
}

/// What the weights are kept as in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weights {
    F32,
    #[default]
    Bf16,
}

impl Values {
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::Bf16(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// These numbers, and behind them the others: in f32 unless both are bf16.
    #[must_use]
    pub fn followed_by(self, others: Self) -> Self {
        match (self, others) {
            (Self::Bf16(mut all), Self::Bf16(others)) => {
                all.extend(others);
                Self::Bf16(all)
            }
            (all, others) => {
                let mut all = all.into_f32();
                all.extend(others.into_f32());
                Self::F32(all)
            }
        }
    }

    pub fn into_f32(self) -> Vec<f32> {
        match self {
            Self::F32(values) => values,
            Self::Bf16(values) => values.into_iter().map(bf16::to_f32).collect(),
        }
    }

    fn into_bf16(self) -> Vec<bf16> {
        match self {
            Self::F32(values) => values.into_iter().map(bf16::from_f32).collect(),
            Self::Bf16(values) => values,
        }
    }
}

/// A weight matrix of `rows` outputs by `cols` inputs, row-major.
#[derive(Clone, Debug)]
pub struct Matrix {
    rows: usize,
    cols: usize,
    values: Values,
}

impl Matrix {
    /// `None` if the number of values is not rows × cols.
    pub fn new(rows: usize, cols: usize, values: Values) -> Option<Self> {
        (values.len() == rows.checked_mul(cols)?).then_some(Self { rows, cols, values })
    }

    /// Kept as `weights`. `None` if the number of values is not rows × cols.
    pub fn pack(rows: usize, cols: usize, values: Values, weights: Weights) -> Option<Self> {
        let values = match weights {
            Weights::F32 => Values::F32(values.into_f32()),
            Weights::Bf16 => Values::Bf16(values.into_bf16()),
        };
        Self::new(rows, cols, values)
    }

    pub fn values(&self) -> &Values {
        &self.values
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Row `row` widened to f32.
    pub fn row(&self, row: usize) -> Vec<f32> {
        let range = row * self.cols..(row + 1) * self.cols;
        match &self.values {
            Values::F32(v) => v[range].to_vec(),
            Values::Bf16(v) => v[range].iter().map(|x| x.to_f32()).collect(),
        }
    }

    /// `x · selfᵀ`: `x` is n × cols, the result n × rows.
    ///
    /// # Panics
    /// When `x` is not whole rows: a mistake of ours, never of a checkpoint, whose shapes were checked at loading.
    pub fn apply(&self, threads: &Threads, x: &[f32]) -> Vec<f32> {
        self.products(threads, self.rows, |i| i, x)
    }

    /// The entries of [`Matrix::apply`] that belong to `rows`, and no others computed: n × `rows.len()`.
    ///
    /// # Panics
    /// As `apply`, and when a row is not below the number of rows.
    pub fn apply_rows(&self, threads: &Threads, rows: &[u32], x: &[f32]) -> Vec<f32> {
        self.products(threads, rows.len(), |i| rows[i] as usize, x)
    }

    /// The products of `count` rows, of which the i-th is `row(i)`, with `x`.
    fn products(
        &self,
        threads: &Threads,
        count: usize,
        row: impl Fn(usize) -> usize + Sync,
        x: &[f32],
    ) -> Vec<f32> {
        let n = x.len() / self.cols;
        assert_eq!(
            n * self.cols,
            x.len(),
            "activations of {} values for a matrix of {} columns",
            x.len(),
            self.cols
        );
        let level = Level::best();
        // Made row by row (each weight row is read once for all n tokens), then turned round.
        let mut by_row = vec![0.0f32; count * n];
        let work = |task: usize, out: &mut [f32]| {
            for (i, out) in out.chunks_exact_mut(n).enumerate() {
                self.row_times(level, row(task * ROWS_A_TASK + i), x, out);
            }
        };
        if n == 0 {
            return by_row;
        }
        if count * self.cols * n < PARALLEL_FROM {
            by_row
                .chunks_mut(ROWS_A_TASK * n)
                .enumerate()
                .for_each(|(task, out)| work(task, out));
        } else {
            threads.chunks(&mut by_row, ROWS_A_TASK * n, &work);
        }
        if n == 1 {
            by_row
        } else {
            transpose(&by_row, count, n)
        }
    }

    fn row_times(&self, level: Level, row: usize, x: &[f32], out: &mut [f32]) {
        let range = row * self.cols..(row + 1) * self.cols;
        let tokens = x.chunks_exact(self.cols).zip(out);
        match &self.values {
            Values::F32(w) => tokens.for_each(|(x, out)| *out = level.dot(x, &w[range.clone()])),
            // For many tokens the row is widened once.
            Values::Bf16(w) if x.len() > 4 * self.cols => {
                let wide: Vec<f32> = w[range].iter().map(|v| v.to_f32()).collect();
                tokens.for_each(|(x, out)| *out = level.dot(x, &wide));
            }
            Values::Bf16(w) => {
                tokens.for_each(|(x, out)| *out = level.dot_bf16(x, &w[range.clone()]));
            }
        }
    }
}

fn transpose(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for (row, line) in values.chunks_exact(cols).enumerate() {
        for (col, &value) in line.iter().enumerate() {
            out[col * rows + row] = value;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_the_same_bits_as_its_tokens_alone() {
        let threads = Threads::new(2).unwrap();
        let (rows, cols, n) = (130, 33, 7);
        let values: Vec<bf16> = (0..rows * cols)
            .map(|i| bf16::from_f32(((i * 37) % 101) as f32 / 50.0 - 1.0))
            .collect();
        let matrix = Matrix::new(rows, cols, Values::Bf16(values)).unwrap();
        let x: Vec<f32> = (0..n * cols)
            .map(|i| ((i * 13) % 29) as f32 / 14.0 - 1.0)
            .collect();
        let batch = matrix.apply(&threads, &x);
        for (token, x) in x.chunks_exact(cols).enumerate() {
            let alone = matrix.apply(&threads, x);
            for (a, b) in alone.iter().zip(&batch[token * rows..]) {
                assert_eq!(a.to_bits(), b.to_bits(), "{a} {b}");
            }
        }
    }

    #[test]
    fn chosen_rows_give_the_same_bits_as_all_rows() {
        // Enough rows that both are computed in parallel, and an order that is none.
        let threads = Threads::new(3).unwrap();
        let (rows, cols) = (9000, 160);
        let bf16: Vec<bf16> = (0..rows * cols)
            .map(|i| bf16::from_f32(((i * 37) % 1013) as f32 / 500.0 - 1.0))
            .collect();
        let f32 = bf16.iter().map(|v| v.to_f32()).collect();
        for values in [Values::Bf16(bf16), Values::F32(f32)] {
            let matrix = Matrix::new(rows, cols, values).unwrap();
            for n in [1, 2, 7] {
                let x: Vec<f32> = (0..n * cols)
                    .map(|i| ((i * 13) % 29) as f32 / 14.0 - 1.0)
                    .collect();
                let all = matrix.apply(&threads, &x);
                for count in [0, 1, 50, 8000] {
                    let chosen: Vec<u32> = (0..count).map(|i| i * 7919 % 9000).collect();
                    let some = matrix.apply_rows(&threads, &chosen, &x);
                    let expected = all
                        .chunks_exact(rows)
                        .flat_map(|all| chosen.iter().map(|row| all[*row as usize].to_bits()));
                    assert!(some.iter().map(|v| v.to_bits()).eq(expected));
                }
            }
        }
    }

    #[test]
    fn a_matrix_of_the_wrong_size_is_not_made() {
        assert!(Matrix::new(2, 3, Values::F32(vec![0.0; 5])).is_none());
    }
}
