//! The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): what makes numbers without a pattern of numbers in order. It
//! keeps no state; how numbers follow each other is for others to say.

/// A bijection of 64 bits in which every bit of `x` may change every bit of the result.
pub fn scramble(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
