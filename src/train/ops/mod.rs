//! The operations that towers spend their time in, fused, threaded and vectorised, each with a backward pass written
//! by hand: what a tape of elementary operations would do in a dozen passes over memory takes one or two here. They
//! run on burn's flex backend; every other backend gets burn's own, unfused.

mod attention;
mod block;
mod gelu;
mod layer_norm;
mod product;
mod tape;

pub use attention::attention;
pub use block::{Affine, Parameters, Settings, block};
pub use gelu::{Activation, gelu};
pub use layer_norm::layer_norm;

/// Rows that one task takes. It does not depend on the number of threads, so sums over rows do not either.
const ROWS: usize = 32;

#[cfg(test)]
mod tests;
