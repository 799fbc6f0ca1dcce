//! Every fused operation against burn's own, value and gradients; its gradients against finite differences; and its
//! functions against closed forms.

use burn::tensor::{Tensor, TensorData, module};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::train::device::{host, tested};
use crate::train::simd;

fn random(rng: &mut ChaCha8Rng, rows: usize, columns: usize) -> Tensor<2> {
    let values: Vec<f32> = (0..rows * columns)
        .map(|_| rng.random_range(-3.0..3.0))
        .collect();
    Tensor::from_data(
        TensorData::new(values, [rows, columns]),
        &tested().autodiff(),
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
    let [rows, columns] = burns(inputs.clone()).dims();
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
    let magnitude = dot(
        &host(out.clone().abs()),
        &host(weights.clone().inner().abs()),
    );
    assert_close(name, out.clone(), out_burn);
    assert_close(name, plain, out);
    for (i, (a, b)) in d.into_iter().zip(d_burn).enumerate() {
        let name = format!("{name}, gradient of input {i}");
        let direction = random(&mut rng, inputs[i].dims()[0], inputs[i].dims()[1]).inner();
        let along = dot(&host(a.clone()), &host(direction.clone()));
        let weighted = |step: f64| {
            let mut inputs = inputs.clone().map(Tensor::inner);
            inputs[i] = inputs[i].clone() + direction.clone().mul_scalar(step);
            dot(&host(ours(inputs)), &host(weights.clone().inner()))
        };
        let slope = |h: f64| (weighted(h) - weighted(-h)) / (2.0 * h);
        // Richardson's: what is left of the error is of the fourth order in the step.
        let differences = (4.0 * slope(STEP) - slope(2.0 * STEP)) / 3.0;
        let size = dot(&host(a.clone()), &host(a.clone())).sqrt();
        // What f32 leaves of a difference of such sums.
        let noise = 3e-7 * magnitude / STEP;
        let off = (along - differences).abs();
        assert!(
            off < 2e-3 * size + noise,
            "{name}: {along}, finite differences {differences} of a gradient of norm {size}"
        );
        assert_close(&name, a, b);
    }
}

/// Of finite differences.
const STEP: f64 = 4e-3;

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
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
        (Activation::Erf, 0.841_344_746, -0.045_500_264),
        (Activation::Tanh, 0.841_191_991, -0.045_402_306),
        (Activation::Quick, 0.845_795_766, -0.064_341_377),
    ] {
        let x = Tensor::from_data([[1.0_f32, -2.0]], &tested());
        let values = host(gelu(x, of));
        for (ours, exact) in values.iter().zip([at_1, at_minus_2]) {
            assert!(
                (f64::from(*ours) - exact).abs() < 5e-7,
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

/// The tensors that a block takes, by name, in the order in which it takes them.
const BLOCK: [&str; 17] = [
    "x",
    "norm_1.weight",
    "norm_1.bias",
    "query.weight",
    "query.bias",
    "key.weight",
    "key.bias",
    "value.weight",
    "value.bias",
    "out.weight",
    "out.bias",
    "norm_2.weight",
    "norm_2.bias",
    "up.weight",
    "up.bias",
    "down.weight",
    "down.bias",
];

fn shapes_of_block(rows: usize, width: usize, hidden: usize) -> [[usize; 2]; 17] {
    BLOCK.map(|name| match name {
        "x" => [rows, width],
        "up.weight" => [width, hidden],
        "up.bias" => [1, hidden],
        "down.weight" => [hidden, width],
        _ if name.ends_with("bias") || name.starts_with("norm") => [1, width],
        _ => [width, width],
    })
}

fn parameters(inputs: [Tensor<2>; 17]) -> (Tensor<2>, Parameters) {
    let [
        x,
        g1,
        b1,
        wq,
        bq,
        wk,
        bk,
        wv,
        bv,
        wo,
        bo,
        g2,
        b2,
        wu,
        bu,
        wd,
        bd,
    ] = inputs;
    let row = |weight: Tensor<2>, bias: Tensor<2>| Affine {
        weight: weight.squeeze_dim(0),
        bias: bias.squeeze_dim(0),
    };
    let map = |weight, bias: Tensor<2>| Affine {
        weight,
        bias: bias.squeeze_dim(0),
    };
    let parameters = Parameters {
        norm_1: row(g1, b1),
        query: map(wq, bq),
        key: map(wk, bk),
        value: map(wv, bv),
        out: map(wo, bo),
        norm_2: row(g2, b2),
        up: map(wu, bu),
        down: map(wd, bd),
    };
    (x, parameters)
}

fn settings(heads: usize, activation: Activation, causal: bool) -> Settings {
    Settings {
        heads,
        activation,
        causal,
        epsilon: 1e-6,
        compute: Compute::default(),
    }
}

#[test]
fn a_block_is_its_operations() {
    for (batch, positions, width, heads, hidden, causal) in [
        (1, 1, 4, 1, 3, false),
        (3, 5, 12, 2, 20, true),
        (2, 130, 33, 3, 40, false),
    ] {
        let settings = settings(heads, Activation::Tanh, causal);
        let smaller = |x: Tensor<2>| x.mul_scalar(0.1);
        compare(
            "block",
            shapes_of_block(batch * positions, width, hidden),
            |inputs| {
                let (x, parameters) = parameters(inputs.map(smaller));
                block(x, parameters, batch, settings)
            },
            |inputs| {
                let (x, parameters) = parameters(inputs.map(smaller));
                super::block::unfused(x, parameters, batch, settings)
            },
        );
    }
}

/// Result and all gradients, see tests/fixtures/block/make.py.
#[test]
fn a_block_is_torchs() {
    let bytes = include_bytes!("../../../tests/fixtures/block/block.safetensors");
    let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
    let tensor = |name: &str| {
        let view = file.tensor(name).unwrap();
        let values = view.data().as_chunks::<4>().0;
        let values: Vec<f32> = values.iter().map(|&b| f32::from_le_bytes(b)).collect();
        let columns = *view.shape().last().unwrap();
        Tensor::<2>::from_data(
            TensorData::new(values.clone(), [values.len() / columns, columns]),
            &tested().autodiff(),
        )
    };
    for (case, activation, causal) in [
        ("gelu", Activation::Erf, false),
        ("gelu.causal", Activation::Erf, true),
        ("gelu_tanh", Activation::Tanh, false),
        ("gelu_tanh.causal", Activation::Tanh, true),
        ("gelu_quick", Activation::Quick, false),
        ("gelu_quick.causal", Activation::Quick, true),
    ] {
        let inputs = BLOCK.map(|name| tensor(name).require_grad());
        let (x, parameters) = parameters(inputs.clone());
        let out = block(x, parameters, 3, settings(3, activation, causal));
        let gradients = (out.clone() * tensor("weights")).sum().backward();
        assert_close(case, out.inner(), tensor(&format!("{case}/out")).inner());
        for (name, input) in BLOCK.iter().zip(inputs) {
            let name = format!("{case}/{name}");
            let gradient = input.grad(&gradients).expect("every input has a gradient");
            assert_close(&name, gradient, tensor(&name).inner());
        }
    }
}

/// Result and gradients of a block of several pieces and groups, as bits.
fn bits_of_a_block(threads: usize, compute: Compute) -> Vec<Vec<u32>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.unwrap().install(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let inputs =
            shapes_of_block(2_000, 20, 36).map(|[rows, columns]| random(&mut rng, rows, columns));
        let (x, parameters) = parameters(inputs.clone());
        let settings = Settings {
            compute,
            ..settings(2, Activation::Erf, false)
        };
        let out = block(x, parameters, 200, settings);
        let gradients = out.clone().square().sum().backward();
        let found = inputs
            .iter()
            .map(|x| x.grad(&gradients).expect("a gradient"));
        let all = std::iter::once(out.inner()).chain(found);
        all.map(|t| host(t).into_iter().map(f32::to_bits).collect())
            .collect()
    })
}

#[test]
fn neither_threads_nor_computing_again_change_a_bit() {
    for precision in [Precision::F32, Precision::Bf16] {
        let bits = |threads, checkpointing| {
            let compute = Compute {
                precision,
                checkpointing,
            };
            bits_of_a_block(threads, compute)
        };
        let one = bits(1, Checkpointing::Off);
        for (threads, checkpointing) in [
            (2, Checkpointing::Off),
            (3, Checkpointing::Off),
            (1, Checkpointing::Blocks),
            (3, Checkpointing::Blocks),
        ] {
            assert!(
                one == bits(threads, checkpointing),
                "{precision:?}, {threads} threads, {checkpointing:?}"
            );
        }
    }
}

#[test]
fn linear_is_burns() {
    for (rows, inputs, outputs) in [(1, 1, 1), (5, 12, 33), (130, 40, 7), (1_700, 3, 2)] {
        let flat = |bias: Tensor<2>| bias.reshape([outputs]);
        compare(
            "linear",
            [[rows, inputs], [inputs, outputs], [1, outputs]],
            |[x, weight, bias]| linear(x, weight, Some(flat(bias))),
            |[x, weight, bias]| module::linear(x, weight, Some(flat(bias))),
        );
        compare(
            "linear without bias",
            [[rows, inputs], [inputs, outputs]],
            |[x, weight]| linear(x, weight, None),
            |[x, weight]| x.matmul(weight),
        );
    }
}

#[test]
fn a_block_in_bf16_is_near_the_one_in_f32() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let inputs =
        shapes_of_block(3 * 40, 24, 36).map(|[rows, columns]| random(&mut rng, rows, columns));
    let evaluate = |precision| {
        let (x, parameters) = parameters(inputs.clone().map(|x| x.mul_scalar(0.2)));
        let settings = Settings {
            compute: Compute {
                precision,
                ..Compute::default()
            },
            ..settings(2, Activation::Erf, false)
        };
        let out = block(x, parameters, 3, settings);
        let gradients = out.clone().square().sum().backward();
        let found = inputs
            .iter()
            .map(|x| x.grad(&gradients).expect("a gradient"));
        std::iter::once(out.inner())
            .chain(found)
            .map(host)
            .collect::<Vec<_>>()
    };
    let (exact, rounded) = (evaluate(Precision::F32), evaluate(Precision::Bf16));
    assert_ne!(exact, rounded);
    for (i, (exact, rounded)) in exact.iter().zip(&rounded).enumerate() {
        let norm = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let off: Vec<f32> = exact.iter().zip(rounded).map(|(a, b)| a - b).collect();
        // The gradient of the keys' bias is that of nothing: what a softmax is the same with.
        if i != 7 {
            assert!(
                norm(&off) < 0.02 * norm(exact),
                "{i}: {} of {}",
                norm(&off),
                norm(exact)
            );
        }
    }
}
