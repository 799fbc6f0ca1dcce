//! Position embeddings of another resolution: the grid of patches is resampled like an image with `width` channels,
//! bicubic with antialiasing, as timm's `resample_abs_pos_embed` and open_clip's `resize_pos_embed` do it: torch's
//! `F.interpolate(mode="bicubic", antialias=True, align_corners=False)`. (big_vision itself interpolates linearly.)

/// `grid`, `[from × from, width]`, as `[to × to, width]`.
pub fn resampled(grid: &[f32], from: usize, to: usize, width: usize) -> Vec<f32> {
    let weights = weights(from, to);
    // Along one axis and then along the other.
    let mut columns = vec![0.0; from * to * width];
    for row in 0..from {
        for (x, taps) in weights.iter().enumerate() {
            let out = &mut columns[(row * to + x) * width..][..width];
            for (source, weight) in taps {
                add_scaled(
                    out,
                    *weight,
                    &grid[(row * from + source) * width..][..width],
                );
            }
        }
    }
    let mut both = vec![0.0; to * to * width];
    for (y, taps) in weights.iter().enumerate() {
        for x in 0..to {
            let out = &mut both[(y * to + x) * width..][..width];
            for (source, weight) in taps {
                add_scaled(out, *weight, &columns[(source * to + x) * width..][..width]);
            }
        }
    }
    both
}

fn add_scaled(out: &mut [f32], weight: f32, x: &[f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out += weight * x;
    }
}

/// What each of `to` places takes of each of `from`: the cubic kernel with a = -1/2 (Keys 1981), stretched by the scale
/// when it shrinks, and normalised over what lies inside.
fn weights(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let support = 2.0 * stretch;
    let taps = (0..to).map(|place| {
        let centre = scale * (place as f64 + 0.5);
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let raw: Vec<f64> = (first..end)
            .map(|source| cubic((source as f64 - centre + 0.5) / stretch))
            .collect();
        let sum: f64 = raw.iter().sum();
        let taps = (first..end).zip(raw);
        taps.map(|(source, weight)| (source, (weight / sum) as f32))
            .collect()
    });
    taps.collect()
}

fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}
