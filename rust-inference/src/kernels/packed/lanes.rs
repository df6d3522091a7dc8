//! Sixteen rows side by side: what a kernel needs of an instruction set to multiply a tile by activations.
//!
//! The loops over a tile are written once, in `tile`, and compiled for each implementation of [`Lanes`]. All of them
//! compute the same: products of integers are exact whatever their order, and the operations on floats that follow
//! are the same ones in the same order, so a kernel gives the bits that every other kernel gives.

use half::f16;

use super::{
    activations,
    tile::{BLOCK, ROWS},
};

/// Whose methods may be called only on a processor that has the implementation's instructions, with pointers to as
/// many bytes as they say they read or write.
pub(in crate::kernels) trait Lanes: Copy {
    /// An `i32` for each row.
    type Ints: Copy;
    /// An `f32` for each row.
    type Floats: Copy;
    /// Four neighbouring weights for each row.
    type Quads: Copy;
    /// Four neighbouring activations, for all rows the same.
    type X: Copy;
    /// Activations are kept as 16-bit integers, those of even columns before those of odd ones in every four, for
    /// instruction sets that cannot multiply bytes without saturation.
    const WIDE: bool;
    /// Tokens that a pair of tiles is multiplied by at a time, at most: their sums fill the registers.
    const TOKENS: usize;

    unsafe fn ints(value: i32) -> Self::Ints;
    unsafe fn floats(value: f32) -> Self::Floats;
    /// Reads 64 bytes: row by row four weights.
    unsafe fn quads(from: *const u8) -> Self::Quads;
    /// Reads 64 bytes: the low halves are four weights of each row, the high halves four others.
    unsafe fn half_quads(from: *const u8) -> (Self::Quads, Self::Quads);
    /// Reads 4 bytes, or 8 where activations are wide.
    unsafe fn x(from: *const u8) -> Self::X;
    /// `sum + w · x`, exactly.
    unsafe fn dot(sum: Self::Ints, w: Self::Quads, x: Self::X) -> Self::Ints;
    /// Reads 16 f16, widened exactly.
    unsafe fn scales(from: *const u8) -> Self::Floats;
    /// `sum · (scale · x_scale) + acc`: the first product and the sum of the second are rounded, each once.
    unsafe fn add_scaled(
        acc: Self::Floats,
        sum: Self::Ints,
        scale: Self::Floats,
        x_scale: Self::Floats,
    ) -> Self::Floats;
    /// Writes 16 floats.
    unsafe fn store(values: Self::Floats, to: *mut f32);
    /// Rounds a block of activations to integers and writes them, four in a word, or two where they are wide. Gives the
    /// scale and the integers' sum.
    #[inline(always)]
    unsafe fn round(values: &[f32; BLOCK], quads: &mut [u32]) -> (f32, i32) {
        activations::round(values, quads, Self::WIDE)
    }
    /// Reads 64 bytes of each of 16 rows, and writes the first four of all rows, then the next four of all rows, and so on.
    unsafe fn transpose(rows: [*const u8; ROWS], to: *mut u8);
    /// Reads 64 bytes, and writes every other two to the first place, and the rest to the second.
    unsafe fn part(from: *const u8, to: [*mut u8; 2]);
    /// `start + w · x` of two neighbouring blocks, exactly. Reads 64 bytes of each row, and a token's activations of as many columns.
    unsafe fn two_blocks(
        rows: [*const u8; ROWS],
        x: *const u8,
        starts: [i32; 2],
    ) -> [Self::Ints; 2];
}

/// What the compiler makes of plain loops with the instructions that every processor of the target has.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernels) struct Plain;

/// The reference that the other kernels are tested against.
impl Lanes for Plain {
    type Ints = [i32; ROWS];
    type Floats = [f32; ROWS];
    type Quads = [[u8; 4]; ROWS];
    type X = [i8; 4];
    const WIDE: bool = false;
    const TOKENS: usize = 1;

    #[inline(always)]
    unsafe fn ints(value: i32) -> Self::Ints {
        [value; ROWS]
    }

    #[inline(always)]
    unsafe fn floats(value: f32) -> Self::Floats {
        [value; ROWS]
    }

    #[inline(always)]
    unsafe fn quads(from: *const u8) -> Self::Quads {
        // SAFETY: the caller has 64 bytes there, and an array of bytes has no alignment.
        unsafe { from.cast::<Self::Quads>().read() }
    }

    #[inline(always)]
    unsafe fn half_quads(from: *const u8) -> (Self::Quads, Self::Quads) {
        // SAFETY: as in `quads`.
        let both = unsafe { Self::quads(from) };
        (
            both.map(|quad| quad.map(|byte| byte & 15)),
            both.map(|quad| quad.map(|byte| byte >> 4)),
        )
    }

    #[inline(always)]
    unsafe fn x(from: *const u8) -> Self::X {
        // SAFETY: the caller has 4 bytes there, and an array of bytes has no alignment.
        unsafe { from.cast::<Self::X>().read() }
    }

    #[inline(always)]
    unsafe fn dot(mut sum: Self::Ints, w: Self::Quads, x: Self::X) -> Self::Ints {
        for (sum, w) in sum.iter_mut().zip(w) {
            for (w, x) in w.into_iter().zip(x) {
                *sum += i32::from(w) * i32::from(x);
            }
        }
        sum
    }

    #[inline(always)]
    unsafe fn scales(from: *const u8) -> Self::Floats {
        // SAFETY: the caller has 32 bytes there, and an array of bytes has no alignment.
        let bits = unsafe { from.cast::<[[u8; 2]; ROWS]>().read() };
        bits.map(|bits| f16::from_le_bytes(bits).to_f32())
    }

    #[inline(always)]
    unsafe fn add_scaled(
        mut acc: Self::Floats,
        sum: Self::Ints,
        scale: Self::Floats,
        x_scale: Self::Floats,
    ) -> Self::Floats {
        for row in 0..ROWS {
            acc[row] = (sum[row] as f32).mul_add(scale[row] * x_scale[row], acc[row]);
        }
        acc
    }

    #[inline(always)]
    unsafe fn store(values: Self::Floats, to: *mut f32) {
        // SAFETY: the caller has room for 16 floats there.
        unsafe { to.cast::<Self::Floats>().write_unaligned(values) }
    }

    #[inline(always)]
    unsafe fn transpose(rows: [*const u8; ROWS], to: *mut u8) {
        for (lane, row) in rows.into_iter().enumerate() {
            for quad in 0..16 {
                let to = to.wrapping_add(4 * (quad * ROWS + lane));
                // SAFETY: the caller has 64 bytes in each row, and room for 1024.
                unsafe { to.copy_from_nonoverlapping(row.wrapping_add(4 * quad), 4) };
            }
        }
    }

    #[inline(always)]
    unsafe fn part(from: *const u8, to: [*mut u8; 2]) {
        for i in 0..2 * ROWS {
            let to = to[i % 2].wrapping_add(i / 2 * 2);
            // SAFETY: the caller has 64 bytes there, and room for 32 in each place.
            unsafe { to.copy_from_nonoverlapping(from.wrapping_add(2 * i), 2) };
        }
    }

    #[inline(always)]
    unsafe fn two_blocks(
        rows: [*const u8; ROWS],
        x: *const u8,
        starts: [i32; 2],
    ) -> [Self::Ints; 2] {
        let mut sums = starts.map(|start| [start; ROWS]);
        // SAFETY: the caller has 64 bytes there, and bytes have no alignment.
        let x = unsafe { x.cast::<[[i8; BLOCK]; 2]>().read() };
        for (lane, row) in rows.into_iter().enumerate() {
            // SAFETY: as above.
            let row = unsafe { row.cast::<[[u8; BLOCK]; 2]>().read() };
            for block in 0..2 {
                for (w, x) in row[block].into_iter().zip(x[block]) {
                    sums[block][lane] += i32::from(w) * i32::from(x);
                }
            }
        }
        sums
    }
}
