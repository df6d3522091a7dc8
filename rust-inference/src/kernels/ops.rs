//! The small operations between the matrix products.

use super::Level;

/// `x · (1 + weight) / rms(x)`, Gemma's form of `RMSNorm`, on each row of `weight.len()` values.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    for row in x.chunks_exact(weight.len()) {
        let mean = Level::best().dot(row, row) / row.len() as f32;
        let scale = 1.0 / (mean + eps).sqrt();
        out.extend(row.iter().zip(weight).map(|(x, w)| x * scale * (1.0 + w)));
    }
    out
}

pub fn add_assign(x: &mut [f32], other: &[f32]) {
    x.iter_mut().zip(other).for_each(|(x, other)| *x += other);
}

/// `gelu(gate) · up` with the tanh approximation (`gelu_pytorch_tanh`), in place of `gate`.
pub fn gelu_tanh_times(gate: &mut [f32], up: &[f32]) {
    const SQRT_2_OVER_PI: f32 = 0.797_884_6;
    for (gate, up) in gate.iter_mut().zip(up) {
        let x = *gate;
        let inner = SQRT_2_OVER_PI * (x + 0.044_715 * x * x * x);
        *gate = 0.5 * x * (1.0 + inner.tanh()) * up;
    }
}

/// Rotates each half-split pair of `head` by the angle of its frequency at `position` (rotary position embedding).
pub fn rope(head: &mut [f32], position: usize, inverse_frequencies: &[f32]) {
    let (low, high) = head.split_at_mut(inverse_frequencies.len());
    for ((low, high), frequency) in low.iter_mut().zip(high).zip(inverse_frequencies) {
        let (sin, cos) = (position as f32 * frequency).sin_cos();
        (*low, *high) = (*low * cos - *high * sin, *high * cos + *low * sin);
    }
}

pub fn softmax(scores: &mut [f32]) {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - max).exp();
        sum += *score;
    }
    for score in scores.iter_mut() {
        *score /= sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_sums_to_one_and_keeps_the_order() {
        let mut scores = [1.0, 3.0, -1000.0, 2.0];
        softmax(&mut scores);
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(scores[1] > scores[3] && scores[3] > scores[0] && scores[2] < 1e-30);
    }

    #[test]
    fn a_normalised_row_has_the_weights_length() {
        let out = rms_norm(&[3.0, 4.0, 0.0, 0.0], &[0.0; 4], 0.0);
        assert!((out.iter().map(|x| x * x).sum::<f32>() - 4.0).abs() < 1e-5);
    }

    #[test]
    fn rotation_keeps_the_length_and_position_zero_changes_nothing() {
        let mut head = [1.0, 2.0, 3.0, 4.0];
        rope(&mut head, 0, &[1.0, 0.1]);
        assert_eq!(
            head.map(f32::to_bits),
            [1.0f32, 2.0, 3.0, 4.0].map(f32::to_bits)
        );
        rope(&mut head, 17, &[1.0, 0.1]);
        assert!((head.iter().map(|x| x * x).sum::<f32>() - 30.0).abs() < 1e-4);
    }
}
