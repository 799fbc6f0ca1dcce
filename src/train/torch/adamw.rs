//! AdamW by libtorch's kernel, one pass over weights, gradient and moments where operations of burn take a dozen. What
//! of them moves, and by which rates, is [`optim`](crate::train::optim)'s affair.

use burn::tensor::Tensor;

use super::native;
use super::tensors::{inner, outer};
use crate::train::optim::Stretch;

/// Move `stretches` of the weights `w` and of their moments `m` and `v`, by `gradient` times `clip`. The change of the
/// weights is returned, as new less old; none where tensors are not libtorch's, or weights decay without a learning rate,
/// which the kernel has no word for.
pub fn adamw(
    stretches: &[Stretch],
    (betas, eps, clip): ([f64; 2], f64, f64),
    [w, m, v]: [&mut Tensor<1>; 3],
    gradient: &Tensor<1>,
) -> Option<Tensor<1>> {
    let decays_alone = |stretch: &Stretch| stretch.lr == 0.0 && stretch.decay != 0.0;
    if stretches.iter().any(decays_alone) {
        return None;
    }
    let gradient = inner(gradient.clone())?.tensor;
    let before = inner(w.clone())?.tensor;
    // The model reads the weights where they lie.
    let after = before.copy();
    let [m_of_all, v_of_all] = [m, v].map(|moment| {
        let own = own(moment);
        *moment = outer(own.shallow_clone());
        own
    });
    for stretch in stretches {
        let (start, length) = (stretch.range.start as i64, stretch.range.len() as i64);
        let part = |x: &tch::Tensor| x.narrow(0, start, length);
        let mut g = part(&gradient);
        if clip != 1.0 {
            // Not where it lies: others read it later.
            g = &g * clip;
        }
        let how = native::AdamW {
            lr: stretch.lr,
            betas,
            weight_decay: match stretch.decay {
                0.0 => 0.0,
                decay => decay / stretch.lr,
            },
            eps,
        };
        let [mut w, mut m, mut v] = [&after, &m_of_all, &v_of_all].map(part);
        native::adamw(how, [&mut w, &mut g, &mut m, &mut v], stretch.step);
    }
    let change = outer(&after - &before);
    *w = outer(after);
    Some(change)
}

/// The tensor, which nobody else sees change.
fn own(moment: &mut Tensor<1>) -> tch::Tensor {
    let empty = Tensor::empty([0], &moment.device());
    let whole = inner(std::mem::replace(moment, empty)).expect("as the weights, of libtorch");
    match whole.can_mut() {
        true => whole.tensor,
        false => whole.tensor.copy(),
    }
}
