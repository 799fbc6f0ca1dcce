//! Every fused operation against burn's own, value and gradients, and its functions against closed forms.

use burn::tensor::{Device, Tensor, TensorData, module};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::train::device::host;
use crate::train::simd;

fn random(rng: &mut ChaCha8Rng, rows: usize, columns: usize) -> Tensor<2> {
    let values: Vec<f32> = (0..rows * columns)
        .map(|_| rng.random_range(-3.0..3.0))
        .collect();
    Tensor::from_data(
        TensorData::new(values, [rows, columns]),
        &Device::flex().autodiff(),
    )
    .require_grad()
}

fn assert_close(name: &str, ours: Tensor<2>, burns: Tensor<2>) {
    assert_eq!(ours.dims(), burns.dims(), "{name}");
    let (ours, burns) = (host(ours), host(burns));
    let greatest = burns.iter().fold(1.0_f32, |most, b| most.max(b.abs()));
    for (a, b) in ours.into_iter().zip(burns) {
        assert!(
            (a - b).abs() < 2e-5 * greatest,
            "{name}: {a}, expected {b} among numbers up to {greatest}"
        );
    }
}

/// Compare `ours` with `burns` on the same inputs: the result, and the gradients of a weighted sum of it.
fn compare<const N: usize>(
    name: &str,
    shapes: [[usize; 2]; N],
    ours: impl Fn([Tensor<2>; N]) -> Tensor<2>,
    burns: impl Fn([Tensor<2>; N]) -> Tensor<2>,
) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let inputs = shapes.map(|[rows, columns]| random(&mut rng, rows, columns));
    let [rows, columns] = shapes[0];
    let weights = random(&mut rng, rows, columns).detach();
    let evaluate = |f: &dyn Fn([Tensor<2>; N]) -> Tensor<2>| {
        let out = f(inputs.clone());
        let gradients = (out.clone() * weights.clone()).sum().backward();
        let gradients: Vec<_> = inputs
            .iter()
            .map(|x| x.grad(&gradients).expect("every input has a gradient"))
            .collect();
        (out.inner(), gradients)
    };
    let ((out, d), (out_burn, d_burn)) = (evaluate(&ours), evaluate(&burns));
    let plain = ours(inputs.clone().map(Tensor::inner));
    assert_close(name, out.clone(), out_burn);
    assert_close(name, plain, out);
    for (i, (a, b)) in d.into_iter().zip(d_burn).enumerate() {
        assert_close(&format!("{name}, gradient of input {i}"), a, b);
    }
}

#[test]
fn gelu_is_burns() {
    for of in [Activation::Erf, Activation::Tanh, Activation::Quick] {
        compare(
            &format!("{of:?}"),
            [[67, 33]],
            |[x]| gelu(x, of),
            |[x]| super::gelu::unfused(x, of),
        );
    }
}

/// GELU(1) and GELU(-2) by each formula, to seven digits.
#[test]
fn gelus_are_those_of_their_names() {
    for (of, at_1, at_minus_2) in [
        (Activation::Erf, 0.841_344_75, -0.045_500_264),
        (Activation::Tanh, 0.841_191_99, -0.045_402_306),
        (Activation::Quick, 0.845_795_77, -0.064_341_377),
    ] {
        let x = Tensor::from_data([[1.0_f32, -2.0]], &Device::flex());
        let values = host(gelu(x, of));
        for (ours, exact) in values.iter().zip([at_1, at_minus_2]) {
            assert!(
                (ours - exact).abs() < 5e-7,
                "{of:?}: {ours}, expected {exact}"
            );
        }
    }
}

#[test]
fn layer_norm_is_burns() {
    for (rows, width) in [(1, 8), (70, 33)] {
        let flat = |x: Tensor<2>| x.reshape([width]);
        compare(
            "layer norm",
            [[rows, width], [1, width], [1, width]],
            |[x, gain, bias]| layer_norm(x, flat(gain), flat(bias), 1e-6),
            |[x, gain, bias]| module::layer_norm(x, flat(gain), Some(flat(bias)), 1e-6),
        );
    }
}

#[test]
fn attention_is_burns() {
    for (batch, queries, keys, heads, width, causal) in [
        (1, 1, 1, 1, 4, false),
        (3, 5, 5, 2, 12, false),
        (3, 5, 5, 2, 12, true),
        (2, 1, 17, 4, 32, false),
    ] {
        let shapes = [
            [batch * queries, width],
            [batch * keys, width],
            [batch * keys, width],
        ];
        compare(
            "attention",
            shapes,
            |[q, k, v]| attention(q, k, v, batch, heads, causal),
            |[q, k, v]| super::attention::unfused(q, k, v, batch, heads, causal),
        );
    }
}

#[test]
fn exp_is_the_standard_librarys() {
    for i in -8_700..8_800 {
        let x = i as f32 / 100.0;
        let (ours, exact) = (f64::from(simd::exp(x)), f64::from(x).exp());
        assert!(
            (ours / exact - 1.0).abs() < 3e-7,
            "e^{x}: {ours}, expected {exact}"
        );
    }
    assert!(simd::exp(-1e4) < 1e-37);
    assert!(simd::exp(f32::NAN).is_nan());
}
