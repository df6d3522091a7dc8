//! What must hold of all kernels together: the same bits from each, for any shape, batch, threads and form of storage.

use half::{bf16, f16};
use proptest::prelude::*;

use super::{Buffer, Format, Kernel, Layout, Matrix, Threads, Values, Weights};

/// Numbers that look random and are the same every time.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = u64::from(seed) + 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn products(
    matrix: &Matrix,
    kernel: Kernel,
    threads: &Threads,
    chosen: Option<&[u32]>,
    x: &[f32],
) -> Vec<f32> {
    let count = chosen.map_or(matrix.rows(), <[u32]>::len);
    // What is there does not count.
    let mut out = vec![7.0; x.len() / matrix.cols() * count];
    matrix.products(kernel, threads, chosen, x, &mut out);
    out
}

const KEPT: [(Weights, Layout); 5] = [
    (Weights::F32, Layout::Body),
    (Weights::Bf16, Layout::Head),
    (Weights::Q8, Layout::Body),
    (Weights::Q8, Layout::Head),
    (Weights::Q4, Layout::Body),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_kernel_gives_the_bits_of_the_portable_one(
        (rows, cols, n, seed) in (1usize..90, 1usize..300, 1usize..20, any::<u32>())
    ) {
        let alone = Threads::new(1).unwrap();
        let values = Values::F32(numbers(rows * cols, seed));
        let x = numbers(n * cols, !seed);
        for (weights, layout) in KEPT {
            let matrix = Matrix::pack(&alone, rows, cols, &values, weights, layout).unwrap();
            let expected = products(&matrix, Kernel::Portable, &alone, None, &x);
            let chosen: Vec<u32> = (0..rows as u32 * 2).map(|i| i * 7 % rows as u32).collect();
            for kernel in Kernel::available() {
                let all = products(&matrix, kernel, &alone, None, &x);
                prop_assert_eq!(bits(&all), bits(&expected), "{:?} {:?}", kernel, matrix);
                let some = products(&matrix, kernel, &alone, Some(&chosen), &x);
                let of_token = |all: &[f32]| chosen.iter().map(|row| all[*row as usize]).collect::<Vec<_>>();
                let expected: Vec<f32> = expected.chunks(rows).flat_map(of_token).collect();
                prop_assert_eq!(bits(&some), bits(&expected), "{:?} {:?}", kernel, matrix);
                let token = products(&matrix, kernel, &alone, None, &x[(n - 1) * cols..]);
                prop_assert_eq!(bits(&token), bits(&all[(n - 1) * rows..]), "{:?} {:?}", kernel, matrix);
            }
        }
    }

    #[test]
    fn products_are_near_the_exact_ones(
        (rows, cols, n, seed) in (1usize..40, 1usize..300, 1usize..4, any::<u32>())
    ) {
        let threads = Threads::new(1).unwrap();
        let (w, x) = (numbers(rows * cols, seed), numbers(n * cols, !seed));
        let values = Values::F32(w.clone());
        for (weights, layout, tolerance) in [
            (Weights::Bf16, Layout::Body, 0.004),
            (Weights::Q8, Layout::Body, 0.012),
            (Weights::Q8, Layout::Head, 0.012),
            (Weights::Q4, Layout::Body, 0.12),
        ] {
            let matrix = Matrix::pack(&threads, rows, cols, &values, weights, layout).unwrap();
            for kernel in Kernel::available() {
                let got = products(&matrix, kernel, &threads, None, &x);
                for (token, x) in x.chunks(cols).enumerate() {
                    for (row, w) in w.chunks(cols).enumerate() {
                        let exact: f64 = w.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                        let error = f64::from(got[token * rows + row]) - exact;
                        // Errors of columns are independent: they grow as the root of their number.
                        prop_assert!(error.abs() < tolerance * (cols as f64).sqrt() * 1.5, "{error} {matrix:?} {kernel:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    // Large enough that all of them have to do, and a number of rows and columns that fits nothing.
    let (rows, cols, n) = (2011, 650, 9);
    let values = Values::F32(numbers(rows * cols, 5));
    let x = numbers(n * cols, 6);
    let chosen: Vec<u32> = (0..1500).map(|i| i * 7919 % rows as u32).collect();
    let [one, several] = [1, 4].map(|count| Threads::new(count).unwrap());
    for (weights, layout) in KEPT {
        let matrix = Matrix::pack(&several, rows, cols, &values, weights, layout).unwrap();
        for chosen in [None, Some(chosen.as_slice())] {
            for x in [&x[..cols], &x] {
                let kernel = Kernel::chosen();
                let expected = products(&matrix, kernel, &one, chosen, x);
                let got = products(&matrix, kernel, &several, chosen, x);
                assert_eq!(bits(&got), bits(&expected), "{matrix:?}");
            }
        }
    }
}

/// Blocks as a GGUF file has them: all scales and all weights.
fn gguf(blocks: usize, bytes_a_block: usize) -> Vec<u8> {
    let block = |i: usize| {
        let scale = f16::from_f32((i % 13) as f32 * 0.01 - 0.05).to_le_bytes();
        let weights = (2..bytes_a_block).map(move |j| (i * 31 + j * 7) as u8);
        scale.into_iter().chain(weights)
    };
    (0..blocks).flat_map(block).collect()
}

#[test]
fn what_a_gguf_file_has_in_blocks_is_kept_as_it_is() {
    let threads = Threads::new(1).unwrap();
    let (rows, cols) = (19, 96);
    let blocks = rows * cols / 32;
    for (values, kept) in [
        (
            Values::Q8_0(gguf(blocks, 34)),
            [Weights::Q8, Weights::F32].as_slice(),
        ),
        (
            Values::Q4_0(gguf(blocks, 18)),
            &[Weights::Q4, Weights::Q8, Weights::F32],
        ),
    ] {
        assert_eq!(values.len(), rows * cols);
        let wide = values.clone().into_f32();
        for weights in kept {
            for layout in [Layout::Body, Layout::Head] {
                let matrix = Matrix::pack(&threads, rows, cols, &values, *weights, layout).unwrap();
                for row in 0..rows {
                    assert_eq!(
                        matrix.row(row),
                        wide[row * cols..(row + 1) * cols],
                        "{matrix:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn blocks_that_cross_rows_are_packed_by_their_values() {
    let threads = Threads::new(1).unwrap();
    let values = Values::Q8_0(gguf(3, 34));
    let matrix = Matrix::pack(&threads, 2, 48, &values, Weights::Q8, Layout::Body).unwrap();
    let row = matrix.row(1);
    let largest = row.iter().fold(0.0f32, |a, b| a.max(b.abs()));
    for (got, expected) in row.iter().zip(&values.into_f32()[48..]) {
        assert!(
            (got - expected).abs() <= largest / 127.0,
            "{got} {expected}"
        );
    }
}

#[test]
fn rows_are_what_was_packed_to_the_precision_of_what_they_are_kept_as() {
    let threads = Threads::new(2).unwrap();
    let (rows, cols) = (35, 70);
    let wide = numbers(rows * cols, 3);
    for values in [
        Values::F32(wide.clone()),
        Values::Bf16(wide.iter().map(|v| bf16::from_f32(*v)).collect()),
        Values::F16(wide.iter().map(|v| f16::from_f32(*v)).collect()),
    ] {
        for (weights, layout) in KEPT {
            let matrix = Matrix::pack(&threads, rows, cols, &values, weights, layout).unwrap();
            let tolerance = match matrix.format() {
                Format::F32 | Format::Bf16 => 0.005,
                Format::Q8Tiles | Format::Q8Rows => 0.5 / 127.0 + 0.005,
                // The step below zero and the one above are an eighth; a value at the other end is a whole step off.
                Format::Q4Tiles => 0.126,
            };
            for row in 0..rows {
                for (got, expected) in matrix.row(row).iter().zip(&wide[row * cols..]) {
                    assert!(
                        (got - expected).abs() < tolerance,
                        "{got} {expected} {matrix:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_matrix_is_made_again_of_its_bytes_and_of_no_others() {
    let threads = Threads::new(1).unwrap();
    let (rows, cols) = (33, 100);
    let values = Values::F32(numbers(rows * cols, 8));
    let x = numbers(cols, 9);
    for (weights, layout) in KEPT {
        let matrix = Matrix::pack(&threads, rows, cols, &values, weights, layout).unwrap();
        let format = Format::named(matrix.format().name()).unwrap();
        let copy = |len: usize| {
            let bytes = matrix.bytes();
            let buffer = Buffer::build(len, |to| {
                to.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            });
            Matrix::from_buffer(rows, cols, format, buffer)
        };
        let again = copy(matrix.bytes().len()).unwrap();
        assert_eq!(
            bits(&products(&again, Kernel::chosen(), &threads, None, &x)),
            bits(&products(&matrix, Kernel::chosen(), &threads, None, &x))
        );
        assert!(copy(matrix.bytes().len() - 1).is_none());
        assert!(copy(matrix.bytes().len() + 64).is_none());
    }
    assert!(Format::Q8Tiles.bytes(usize::MAX / 2, 64).is_none());
}

#[test]
fn a_matrix_of_the_wrong_size_is_not_made() {
    let threads = Threads::new(1).unwrap();
    let pack = |rows, values| Matrix::pack(&threads, rows, 3, &values, Weights::Q8, Layout::Body);
    assert!(pack(2, Values::F32(vec![0.0; 5])).is_none());
    assert!(pack(0, Values::F32(Vec::new())).is_none());
}

#[test]
fn what_is_no_number_stays_visible() {
    let threads = Threads::new(1).unwrap();
    let (rows, cols) = (20, 64);
    let values = Values::F32(numbers(rows * cols, 1));
    for (weights, layout) in KEPT {
        let matrix = Matrix::pack(&threads, rows, cols, &values, weights, layout).unwrap();
        for kernel in Kernel::available() {
            for bad in [f32::NAN, f32::INFINITY] {
                let mut x = numbers(cols, 2);
                x[40] = bad;
                let out = products(&matrix, kernel, &threads, None, &x);
                assert!(
                    out.iter().all(|value| !value.is_finite()),
                    "{kernel:?} {matrix:?}"
                );
            }
            // Too small to have a scale.
            let out = products(&matrix, kernel, &threads, None, &[1e-38; 64]);
            assert!(
                out.iter().all(|value| value.abs() < 1e-36),
                "{kernel:?} {matrix:?}"
            );
        }
    }
}
