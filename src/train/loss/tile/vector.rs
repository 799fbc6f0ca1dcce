//! Arithmetic on whole vectors of the processor at hand, for f32 and f64 alike, by way of `pulp`: what the losses do to
//! similarities is written once with it. Sums in a vector run as many side by side as it has lanes.

use pulp::Simd;
use pulp::bytemuck::{Pod, cast_slice, cast_slice_mut};

use crate::train::simd;

/// No vector has more lanes.
pub const MOST_LANES: usize = 16;

/// Numbers that come in vectors.
pub trait Lanes: Copy + Pod {
    const ONE: Self;

    type V<S: Simd>: Pod;

    fn splat<S: Simd>(simd: S, x: Self) -> Self::V<S>;
    fn vadd<S: Simd>(simd: S, a: Self::V<S>, b: Self::V<S>) -> Self::V<S>;
    fn vsub<S: Simd>(simd: S, a: Self::V<S>, b: Self::V<S>) -> Self::V<S>;
    fn vmul<S: Simd>(simd: S, a: Self::V<S>, b: Self::V<S>) -> Self::V<S>;
    fn vdiv<S: Simd>(simd: S, a: Self::V<S>, b: Self::V<S>) -> Self::V<S>;
    /// a b + c, rounded once where the processor can.
    fn vfma<S: Simd>(simd: S, a: Self::V<S>, b: Self::V<S>, c: Self::V<S>) -> Self::V<S>;
    fn vmin<S: Simd>(simd: S, a: Self::V<S>, b: Self::V<S>) -> Self::V<S>;
    fn vmax<S: Simd>(simd: S, a: Self::V<S>, b: Self::V<S>) -> Self::V<S>;
    /// In each lane `a` where x > 0, else `b`.
    fn if_positive<S: Simd>(simd: S, x: Self::V<S>, a: Self::V<S>, b: Self::V<S>) -> Self::V<S>;
    /// eˣ for x ≤ 0; no less than about 1e-38 in f32.
    fn exp_negative<S: Simd>(simd: S, x: Self::V<S>) -> Self::V<S>;
    /// ln(1 + x) for x in [0, 1].
    fn ln_1p_unit<S: Simd>(simd: S, x: Self::V<S>) -> Self::V<S>;
    fn sum<S: Simd>(simd: S, x: Self::V<S>) -> f64;
    fn least<S: Simd>(simd: S, x: Self::V<S>) -> f64;
    fn greatest<S: Simd>(simd: S, x: Self::V<S>) -> f64;
    /// Whole vectors, and what is left.
    fn split<S: Simd>(values: &[Self]) -> (&[Self::V<S>], &[Self]);
    fn split_mut<S: Simd>(values: &mut [Self]) -> (&mut [Self::V<S>], &mut [Self]);
    /// A vector, with zeros beyond the end of `values`.
    fn load<S: Simd>(simd: S, values: &[Self]) -> Self::V<S>;
    fn store<S: Simd>(simd: S, values: &mut [Self], x: Self::V<S>);
}

/// The functions that `pulp` has for both types under names of their own.
macro_rules! by_pulp {
    ($($ours:ident($($x:ident),*) = $theirs:ident;)*) => {
        $(#[inline(always)]
        fn $ours<S: Simd>(simd: S, $($x: Self::V<S>),*) -> Self::V<S> {
            simd.$theirs($($x),*)
        })*
    };
}

impl Lanes for f32 {
    const ONE: f32 = 1.0;

    type V<S: Simd> = S::f32s;

    by_pulp! {
        vadd(a, b) = add_f32s;
        vsub(a, b) = sub_f32s;
        vmul(a, b) = mul_f32s;
        vdiv(a, b) = div_f32s;
        vfma(a, b, c) = mul_add_e_f32s;
        vmin(a, b) = min_f32s;
        vmax(a, b) = max_f32s;
    }

    #[inline(always)]
    fn splat<S: Simd>(simd: S, x: f32) -> S::f32s {
        simd.splat_f32s(x)
    }

    #[inline(always)]
    fn if_positive<S: Simd>(simd: S, x: S::f32s, a: S::f32s, b: S::f32s) -> S::f32s {
        let positive = simd.less_than_f32s(simd.splat_f32s(0.0), x);
        simd.select_f32s(positive, a, b)
    }

    /// As `simd::exp` does it.
    #[inline(always)]
    fn exp_negative<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        use simd::EXP;
        let (log2_e, round) = (std::f32::consts::LOG2_E, simd.splat_f32s(EXP.round));
        let x = simd.max_f32s(x, simd.splat_f32s(EXP.least));
        let rounded = simd.mul_add_e_f32s(x, simd.splat_f32s(log2_e), round);
        let k = simd.sub_f32s(rounded, round);
        let r = simd.mul_add_e_f32s(k, simd.splat_f32s(-EXP.ln_2_high), x);
        let r = simd.mul_add_e_f32s(k, simd.splat_f32s(-EXP.ln_2_low), r);
        let p = polynomial(simd, EXP.terms, r);
        let tail = simd.add_f32s(r, simd.splat_f32s(1.0));
        let p = simd.mul_add_e_f32s(p, simd.mul_f32s(r, r), tail);
        let zero_power = simd.splat_u32s(EXP.round.to_bits() - 127);
        let exponent = simd.sub_u32s(simd.transmute_u32s_f32s(rounded), zero_power);
        let power = simd.wrapping_dyn_shl_u32s(exponent, simd.splat_u32s(23));
        simd.mul_f32s(p, simd.transmute_f32s_u32s(power))
    }

    #[inline(always)]
    fn ln_1p_unit<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        simd.mul_f32s(x, polynomial(simd, simd::LN_1P_UNIT, x))
    }

    #[inline(always)]
    fn sum<S: Simd>(simd: S, x: S::f32s) -> f64 {
        simd.reduce_sum_f32s(x).into()
    }

    #[inline(always)]
    fn least<S: Simd>(simd: S, x: S::f32s) -> f64 {
        simd.reduce_min_f32s(x).into()
    }

    #[inline(always)]
    fn greatest<S: Simd>(simd: S, x: S::f32s) -> f64 {
        simd.reduce_max_f32s(x).into()
    }

    #[inline(always)]
    fn split<S: Simd>(values: &[f32]) -> (&[S::f32s], &[f32]) {
        S::as_simd_f32s(values)
    }

    #[inline(always)]
    fn split_mut<S: Simd>(values: &mut [f32]) -> (&mut [S::f32s], &mut [f32]) {
        S::as_mut_simd_f32s(values)
    }

    #[inline(always)]
    fn load<S: Simd>(simd: S, values: &[f32]) -> S::f32s {
        simd.partial_load_f32s(values)
    }

    #[inline(always)]
    fn store<S: Simd>(simd: S, values: &mut [f32], x: S::f32s) {
        simd.partial_store_f32s(values, x);
    }
}

/// Σ_i terms[i] x^(N - 1 - i).
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, terms: [f32; N], x: S::f32s) -> S::f32s {
    let mut p = simd.splat_f32s(terms[0]);
    for term in &terms[1..] {
        p = simd.mul_add_e_f32s(p, x, simd.splat_f32s(*term));
    }
    p
}

/// Elementary functions are those of the standard library, lane by lane: f64 is for comparison, not for speed.
impl Lanes for f64 {
    const ONE: f64 = 1.0;

    type V<S: Simd> = S::f64s;

    by_pulp! {
        vadd(a, b) = add_f64s;
        vsub(a, b) = sub_f64s;
        vmul(a, b) = mul_f64s;
        vdiv(a, b) = div_f64s;
        vfma(a, b, c) = mul_add_e_f64s;
        vmin(a, b) = min_f64s;
        vmax(a, b) = max_f64s;
    }

    #[inline(always)]
    fn splat<S: Simd>(simd: S, x: f64) -> S::f64s {
        simd.splat_f64s(x)
    }

    #[inline(always)]
    fn if_positive<S: Simd>(simd: S, x: S::f64s, a: S::f64s, b: S::f64s) -> S::f64s {
        let positive = simd.less_than_f64s(simd.splat_f64s(0.0), x);
        simd.select_f64s(positive, a, b)
    }

    #[inline(always)]
    fn exp_negative<S: Simd>(_: S, x: S::f64s) -> S::f64s {
        each_lane(x, f64::exp)
    }

    #[inline(always)]
    fn ln_1p_unit<S: Simd>(_: S, x: S::f64s) -> S::f64s {
        each_lane(x, f64::ln_1p)
    }

    #[inline(always)]
    fn sum<S: Simd>(simd: S, x: S::f64s) -> f64 {
        simd.reduce_sum_f64s(x)
    }

    #[inline(always)]
    fn least<S: Simd>(simd: S, x: S::f64s) -> f64 {
        simd.reduce_min_f64s(x)
    }

    #[inline(always)]
    fn greatest<S: Simd>(simd: S, x: S::f64s) -> f64 {
        simd.reduce_max_f64s(x)
    }

    #[inline(always)]
    fn split<S: Simd>(values: &[f64]) -> (&[S::f64s], &[f64]) {
        S::as_simd_f64s(values)
    }

    #[inline(always)]
    fn split_mut<S: Simd>(values: &mut [f64]) -> (&mut [S::f64s], &mut [f64]) {
        S::as_mut_simd_f64s(values)
    }

    #[inline(always)]
    fn load<S: Simd>(simd: S, values: &[f64]) -> S::f64s {
        simd.partial_load_f64s(values)
    }

    #[inline(always)]
    fn store<S: Simd>(simd: S, values: &mut [f64], x: S::f64s) {
        simd.partial_store_f64s(values, x);
    }
}

fn each_lane<V: Pod>(mut x: V, f: impl Fn(f64) -> f64) -> V {
    let lanes: &mut [f64] = cast_slice_mut(std::slice::from_mut(&mut x));
    lanes.iter_mut().for_each(|lane| *lane = f(*lane));
    x
}

/// How many lanes a vector has.
#[inline(always)]
pub fn width<T: Lanes, S: Simd>(simd: S) -> usize {
    let zero = T::splat(simd, T::zeroed());
    cast_slice::<_, T>(std::slice::from_ref(&zero)).len()
}

/// ln(1 + eˣ) without overflow, and 1 / (1 + e⁻ˣ), from one exponential.
#[inline(always)]
pub fn softplus_and_sigmoid<T: Lanes, S: Simd>(simd: S, x: T::V<S>) -> (T::V<S>, T::V<S>) {
    let (zero, one) = (T::splat(simd, T::zeroed()), T::splat(simd, T::ONE));
    let negative = T::vmin(simd, x, T::vsub(simd, zero, x));
    let e = T::exp_negative(simd, negative);
    let softplus = T::vadd(simd, T::vmax(simd, x, zero), T::ln_1p_unit(simd, e));
    let above = T::if_positive(simd, x, one, e);
    (softplus, T::vdiv(simd, above, T::vadd(simd, one, e)))
}
