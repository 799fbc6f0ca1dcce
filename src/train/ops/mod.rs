//! The operations that towers spend their time in, fused, threaded and vectorised, each with a backward pass written
//! by hand: what a tape of elementary operations would do in a dozen passes over memory takes one or two here. They
//! run on burn's flex backend; every other backend gets burn's own, unfused.

mod attention;
mod gelu;
mod layer_norm;
mod tape;

pub use attention::attention;
pub use gelu::gelu;
pub use layer_norm::layer_norm;

/// Rows that one task takes. It does not depend on the number of threads, so sums over rows do not either.
const ROWS: usize = 32;

/// eˣ to about 2 units in the last place for x up to 88, 0 far below; plain arithmetic, so loops over it vectorise.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts: the first has few enough digits that k times it is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Adding and taking away 1.5 × 2²³ rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.3, 88.3);
    let k = (x * LOG2_E + ROUND) - ROUND;
    let r = (x - k * LN_2_HIGH) - k * LN_2_LOW;
    let p = 1.987_569_2e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    p * f32::from_bits(((k as i32 + 127) << 23) as u32)
}

#[cfg(test)]
mod tests;
