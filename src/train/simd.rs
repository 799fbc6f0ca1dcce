//! Loops compiled for the widest vectors of the processor that runs them, chosen at run time. A kernel is a struct of
//! slices with one `#[inline(always)]` function of plain loops; a closure would not do, for the compiler builds its
//! body without the vectors. Sums run in sixteen lanes, so every processor adds in the same order.

use pulp::{Arch, Simd, WithSimd};

pub trait Kernel {
    /// The loops. Implementations are `#[inline(always)]`.
    fn run(self);
}

/// Run `kernel` with the best instructions there are.
pub fn run(kernel: impl Kernel) {
    Arch::new().dispatch(Wide(kernel));
}

struct Wide<K>(K);

impl<K: Kernel> WithSimd for Wide<K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.0.run();
    }
}

const LANES: usize = 16;

/// `Σ f(a, b, c)` over three slices of one length.
#[inline(always)]
pub fn sum3(a: &[f32], b: &[f32], c: &[f32], f: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let ((a, a_rest), (b, b_rest), (c, c_rest)) = (
        a.as_chunks::<LANES>(),
        b.as_chunks::<LANES>(),
        c.as_chunks::<LANES>(),
    );
    for ((a, b), c) in a.iter().zip(b).zip(c) {
        for i in 0..LANES {
            lanes[i] += f(a[i], b[i], c[i]);
        }
    }
    for (((lane, a), b), c) in lanes.iter_mut().zip(a_rest).zip(b_rest).zip(c_rest) {
        *lane += f(*a, *b, *c);
    }
    lanes.iter().sum()
}

/// `Σ f(a)`.
#[inline(always)]
pub fn sum(a: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    sum3(a, a, a, |a, _, _| f(a))
}

/// The greatest of the numbers among `a`, −∞ of none.
#[inline(always)]
pub fn greatest(a: &[f32]) -> f32 {
    let (chunks, rest) = a.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let more = |most: f32, x: f32| if x > most { x } else { most };
    for a in chunks {
        for (lane, &a) in lanes.iter_mut().zip(a) {
            *lane = more(*lane, a);
        }
    }
    lanes
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |most, &x| more(most, x))
}

/// `sums[j] += Σ_i rows[i, j]`, rows as wide as `sums`.
pub struct AddRows<'a> {
    pub rows: &'a [f32],
    pub sums: &'a mut [f32],
}

impl Kernel for AddRows<'_> {
    #[inline(always)]
    fn run(self) {
        for row in self.rows.chunks_exact(self.sums.len()) {
            for (sum, x) in self.sums.iter_mut().zip(row) {
                *sum += x;
            }
        }
    }
}

/// The constants of [`exp`].
pub struct Exp {
    /// Below it is as at it.
    pub least: f32,
    pub most: f32,
    /// Adding 1.5 × 2²³ rounds to a whole number and leaves it in the last bits.
    pub round: f32,
    /// ln 2 in two parts: the first has few enough digits that k times it is exact.
    pub ln_2_high: f32,
    pub ln_2_low: f32,
    /// Of (eʳ - 1 - r) / r² for |r| ≤ ln 2 / 2, highest power first.
    pub terms: [f32; 6],
}

pub const EXP: Exp = Exp {
    least: -87.3,
    most: 88.3,
    round: 12_582_912.0,
    ln_2_high: 0.693_359_4,
    ln_2_low: -2.121_944_4e-4,
    terms: [
        1.987_569_2e-4,
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ],
};

/// eˣ to about 2 units in the last place for x from -87 to 88, and 1e-38 for all below; plain arithmetic, so loops over it vectorise.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = x.clamp(EXP.least, EXP.most);
    let rounded = x * std::f32::consts::LOG2_E + EXP.round;
    let k = rounded - EXP.round;
    let r = (x - k * EXP.ln_2_high) - k * EXP.ln_2_low;
    let [first, rest @ ..] = EXP.terms;
    let p = rest.into_iter().fold(first, |p, term| p * r + term);
    let p = p * r * r + r + 1.0;
    let exponent = rounded
        .to_bits()
        .wrapping_sub(EXP.round.to_bits())
        .wrapping_add(127);
    p * f32::from_bits(exponent << 23)
}

/// ln(1 + x) / x for x in [0, 1]: the polynomial of degree 8, highest power first, whose relative error there is least
/// (3e-8, by Remez' algorithm).
pub const LN_1P_UNIT: [f32; 9] = [
    5.232_699e-3,
    -2.950_525_5e-2,
    7.822_597e-2,
    -1.366_324_7e-1,
    1.910_600_7e-1,
    -2.484_298_2e-1,
    3.331_909_7e-1,
    -4.999_949_3e-1,
    0.999_999_97,
];

/// Work that comes with vectors of its own, by `pulp`.
pub fn dispatch<R>(work: impl WithSimd<Output = R>) -> R {
    Arch::new().dispatch(work)
}
