//! The two number types of the losses: f32, which trains, and f64, which the f32 is held against. What is vectorised is
//! in [`vector`](super::vector).

use num_traits::Float;

use super::vector::Lanes;
use super::{Grid, Kernel, Pack, Rows, portable};

/// A floating-point type that losses are computed in.
pub trait Real: Lanes + Float + Default + Send + Sync + 'static {
    fn of(x: f64) -> Self;
    fn wide(self) -> f64;

    fn similarities(
        kernel: Kernel,
        x: Rows<Self>,
        y: Rows<Self>,
        s: &mut Grid<Self>,
        pack: &mut Pack<Self>,
    );

    fn add_gradients(
        kernel: Kernel,
        g: &Grid<Self>,
        sides: (Rows<Self>, Rows<Self>),
        gradients: (&mut [Self], &mut [Self]),
        pack: &mut Pack<Self>,
    );
}

impl Real for f32 {
    #[inline(always)]
    fn of(x: f64) -> Self {
        x as f32
    }

    #[inline(always)]
    fn wide(self) -> f64 {
        self.into()
    }

    fn similarities(
        kernel: Kernel,
        x: Rows<Self>,
        y: Rows<Self>,
        s: &mut Grid<Self>,
        pack: &mut Pack<Self>,
    ) {
        match kernel.isa {
            #[cfg(target_arch = "x86_64")]
            super::Isa::Avx512 => super::avx512::similarities(kernel.precision, x, y, s, pack),
            #[cfg(target_arch = "x86_64")]
            super::Isa::Amx => super::amx::similarities(kernel.precision, x, y, s, pack),
            _ => portable::similarities(kernel.precision, x, y, s, pack),
        }
    }

    fn add_gradients(
        kernel: Kernel,
        g: &Grid<Self>,
        sides: (Rows<Self>, Rows<Self>),
        gradients: (&mut [Self], &mut [Self]),
        pack: &mut Pack<Self>,
    ) {
        match kernel.isa {
            #[cfg(target_arch = "x86_64")]
            super::Isa::Avx512 => {
                super::avx512::add_gradients(kernel.precision, g, sides, gradients, pack)
            }
            #[cfg(target_arch = "x86_64")]
            super::Isa::Amx => {
                super::amx::add_gradients(kernel.precision, g, sides, gradients, pack)
            }
            _ => portable::add_gradients(kernel.precision, g, sides, gradients, pack),
        }
    }
}

/// Exact whatever the kernel: it is what others are measured by.
impl Real for f64 {
    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }

    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }

    fn similarities(
        _: Kernel,
        x: Rows<Self>,
        y: Rows<Self>,
        s: &mut Grid<Self>,
        _: &mut Pack<Self>,
    ) {
        portable::exact_similarities(x, y, s);
    }

    fn add_gradients(
        _: Kernel,
        g: &Grid<Self>,
        sides: (Rows<Self>, Rows<Self>),
        gradients: (&mut [Self], &mut [Self]),
        _: &mut Pack<Self>,
    ) {
        portable::add_exact_gradients(g, sides, gradients);
    }
}

/// ln(1 + eˣ) without overflow, and 1 / (1 + e⁻ˣ), from one exponential.
pub fn softplus_and_sigmoid(x: f64) -> (f64, f64) {
    let e = (-x.abs()).exp();
    let softplus = x.max(0.0) + e.ln_1p();
    let above = if x >= 0.0 { 1.0 } else { e };
    (softplus, above / (1.0 + e))
}

/// ln(eᵃ + eᵇ); minus infinity is the neutral element.
pub fn log_add_exp(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY {
        high
    } else {
        high + (low - high).exp().ln_1p()
    }
}
