//! The operations that towers spend their time in, fused, threaded and vectorised, each with a backward pass written
//! by hand: what a tape of elementary operations would do in a dozen passes over memory takes one or two here. They
//! run on burn's flex backend. On libtorch they are its own, and every other backend gets burn's, unfused.

mod attention;
mod block;
mod gelu;
mod layer_norm;
mod linear;
mod product;
mod tape;

#[cfg(feature = "tch")]
pub use attention::Attention;
pub use attention::attention;
pub use block::{Affine, Checkpointing, Compute, Parameters, Settings, block};
pub use gelu::{Activation, gelu};
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use product::Precision;
#[cfg(feature = "tch")]
pub use tape::Fused;

/// Rows that one task takes where rows are all that there is. It does not depend on the number of threads, so sums over
/// rows do not either.
const ROWS: usize = 32;

/// Rows that pass through products at a time, or those of one example if these are more and belong together: what is
/// computed of them fits into the second cache.
const PIECE: usize = 96;

/// Pieces whose gradients of weights are summed in one place, and one after the other.
const GROUP: usize = 16;

#[cfg(test)]
mod tests;
