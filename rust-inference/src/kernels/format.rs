//! How matrices are stored, and the names by which files on disk know it.

use super::{
    Weights,
    packed::{self, BLOCK, Bits, ROWS},
};

/// What a matrix is used for, which decides how its weights lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All rows are wanted, always.
    Body,
    /// Scattered rows are wanted too, as embeddings and as logits of candidates.
    Head,
}

/// How a matrix is stored. The same on all kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    F32,
    Bf16,
    /// Int8 in tiles of 16 rows.
    Q8Tiles,
    /// Four bits in tiles of 16 rows.
    Q4Tiles,
    /// Int8, row by row.
    Q8Rows,
}

impl Format {
    pub const ALL: [Self; 5] = [
        Self::F32,
        Self::Bf16,
        Self::Q8Tiles,
        Self::Q4Tiles,
        Self::Q8Rows,
    ];

    pub fn of(weights: Weights, layout: Layout) -> Self {
        match (weights, layout) {
            (Weights::F32, _) => Self::F32,
            (Weights::Bf16, _) => Self::Bf16,
            (Weights::Q8 | Weights::Q4, Layout::Head) => Self::Q8Rows,
            (Weights::Q8, Layout::Body) => Self::Q8Tiles,
            (Weights::Q4, Layout::Body) => Self::Q4Tiles,
        }
    }

    /// A name for files. It changes when the bytes' meaning does.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Q8Tiles => "q8-tiles-1",
            Self::Q4Tiles => "q4-tiles-1",
            Self::Q8Rows => "q8-rows-1",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Bytes of a matrix of this shape. `None` if no machine has so many.
    pub fn bytes(self, rows: usize, cols: usize) -> Option<usize> {
        // Room for what the packed forms add to a weight's byte: then their own sums cannot overflow.
        rows.checked_next_multiple_of(64)?
            .checked_mul(cols.checked_next_multiple_of(64)?)?
            .checked_mul(4)?;
        Some(match self {
            Self::F32 => rows * cols * 4,
            Self::Bf16 => rows * cols * 2,
            Self::Q8Tiles => rows.div_ceil(ROWS) * Bits::Eight.tile_bytes(blocks(cols)),
            Self::Q4Tiles => rows.div_ceil(ROWS) * Bits::Four.tile_bytes(blocks(cols)),
            Self::Q8Rows => rows * packed::row_bytes(cols),
        })
    }
}

fn blocks(cols: usize) -> usize {
    cols.div_ceil(BLOCK)
}
