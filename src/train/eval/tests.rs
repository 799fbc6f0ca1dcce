//! Evaluations of a run's own pictures and pairs: what is measured when, and that it means what it says.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use safetensors::SafeTensors;

use super::retrieval::Texts;
use super::*;
use crate::train::data::{DataConfig, Views};
use crate::train::device::tested;
use crate::train::feed::{Feed, Parts};
use crate::train::loss::{
    ClassifyConfig, Keep, LossConfig, NegativesConfig, SigmoidConfig, SoftmaxConfig,
};
use crate::train::mesh::Mesh;
use crate::train::step::State;

fn open(config: &TrainConfig) -> (Source, State) {
    let source = Source::open(&config.data, config.model.text.context, config.seed).unwrap();
    let state = State::new(config, &source, &tested());
    (source, state)
}

fn evaluate(config: &TrainConfig, source: &Source, state: &State) -> BTreeMap<String, f64> {
    let evaluation = Evaluation::open(config, source).unwrap();
    evaluation.run(&state.model.valid(), &tested()).unwrap()
}

#[test]
fn an_evaluation_is_due_when_its_mark_is_passed() {
    let config = EvalConfig {
        every: 100,
        ..EvalConfig::default()
    };
    assert!(config.is_due(90, 110) && config.is_due(90, 100));
    assert!(!config.is_due(100, 190));
    let never = EvalConfig {
        every: 0,
        ..EvalConfig::default()
    };
    assert!(!never.is_due(90, 110));
}

/// Pixels themselves, as unit vectors, already say something of the class.
#[test]
fn a_tower_at_its_start_is_better_than_chance_and_one_that_says_nothing_hits_nothing() {
    let mut config = TrainConfig::default();
    let DataConfig::Shapes(shapes) = &mut config.data else {
        unreachable!("the default is drawn")
    };
    (shapes.views, shapes.pairs) = (Views::ImageImage, 1_000);
    (config.eval.images, config.eval.linear_probe) = (300, true);
    let (source, mut state) = open(&config);
    let metrics = evaluate(&config, &source, &state);
    assert!(metrics["knn/top1"] > 0.05, "{metrics:?}");
    assert!(metrics["knn/top1_k20"] > 0.02, "{metrics:?}");
    assert!(
        metrics["linear_probe/top1"] > metrics["knn/top1_k20"],
        "{metrics:?}"
    );
    // A number of pictures that no class of the held-out seventh is among.
    assert!(metrics["knn/n"] < metrics["linear_probe/n"]);
    config.eval.linear_probe = false;
    state.set(Tensor::full([state.layout.length()], f32::NAN, &tested()));
    let metrics = evaluate(&config, &source, &state);
    assert_eq!((metrics["knn/top1"], metrics["knn/top1_k20"]), (0.0, 0.0));
}

/// The held-out pairs of `shapes` are drawn as training's are: at the start of a run they cost about the same.
#[test]
fn the_loss_of_held_out_pairs_is_the_training_loss() {
    let few = NegativesConfig {
        keep: Keep::Hard,
        ratio: 3.0,
    };
    for loss in [
        LossConfig::default(),
        LossConfig::Softmax(SoftmaxConfig::default()),
        LossConfig::Classify(ClassifyConfig::default()),
        LossConfig::Sigmoid(SigmoidConfig {
            negatives: few,
            ..SigmoidConfig::default()
        }),
    ] {
        let mut config = TrainConfig {
            loss,
            ..TrainConfig::default()
        };
        (config.train.batch_size, config.eval.val, config.eval.images) = (64, 200, 8);
        config.validate().unwrap();
        let (source, mut state) = open(&config);
        let held_out = evaluate(&config, &source, &state)["val/loss"];
        config.train.micro_batch = 10;
        let in_parts = evaluate(&config, &source, &state)["val/loss"];
        assert!((held_out / in_parts - 1.0).abs() < 1e-5);
        config.train.micro_batch = 0;
        let mesh = Mesh::alone();
        let parts = Parts::new(&config, &mesh, &source, state.sides().clone());
        let mut feed = Feed::when_asked(parts);
        let first = state.update(&config, &mesh, &mut feed, 1, false).unwrap();
        assert!(
            (held_out / first.loss - 1.0).abs() < 0.2,
            "{held_out}, {}",
            first.loss
        );
    }
}

#[test]
fn pairs_are_retrieved_both_ways() {
    let mut config = TrainConfig::default();
    (config.eval.retrieval, config.eval.images) = (50, 8);
    config.validate().unwrap();
    let (source, state) = open(&config);
    let metrics = evaluate(&config, &source, &state);
    for way in ["image_to_text", "text_to_image"] {
        let [r1, r5, r10] = [1, 5, 10].map(|k| metrics[&format!("retrieval/{way}/r{k}")]);
        assert!(r1 <= r5 && r5 <= r10 && r10 < 1.0, "{metrics:?}");
        assert_eq!(metrics[&format!("retrieval/{way}/n")], 50.0);
    }
}

#[test]
fn what_cannot_be_evaluated_names_its_key() {
    let problem = |change: fn(&mut TrainConfig)| {
        let mut config = TrainConfig::default();
        change(&mut config);
        config.validate().unwrap_err().key
    };
    assert_eq!(problem(|c| c.eval.val = 255), "eval.val");
    assert_eq!(problem(|c| c.eval.images = 0), "eval.images");
    let set = |name: &str, path: &str| SetConfig {
        name: name.into(),
        path: path.into(),
        ..SetConfig::default()
    };
    for sets in [
        vec![set("a/b", "x")],
        vec![set("", "x")],
        vec![set("a", "")],
        vec![set("a", "x"), set("a", "y")],
    ] {
        let mut config = TrainConfig::default();
        config.eval.sets = sets;
        assert_eq!(config.validate().unwrap_err().key, "eval.sets");
    }
    let no_texts = |change: fn(&mut EvalConfig)| {
        let mut config = TrainConfig {
            loss: LossConfig::Classify(ClassifyConfig::default()),
            ..TrainConfig::default()
        };
        change(&mut config.eval);
        config.validate().unwrap_err().key
    };
    assert_eq!(no_texts(|eval| eval.retrieval = 10), "eval.retrieval");
    assert_eq!(
        no_texts(|eval| eval.sets = vec![SetConfig {
            name: "a".into(),
            path: "x".into(),
            ..SetConfig::default()
        }]),
        "eval.sets"
    );
}

/// What CLIP_benchmark's own metrics are of random embeddings, see `tests/fixtures/eval/make.py`.
#[test]
fn metrics_are_those_of_clip_benchmark() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/eval");
    let bytes = std::fs::read(root.join("random.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let words = |name: &str| tensors.tensor(name).unwrap().data().as_chunks::<4>().0;
    let floats =
        |name: &str| -> Vec<f32> { words(name).iter().map(|b| f32::from_le_bytes(*b)).collect() };
    let counts =
        |name: &str| -> Vec<u32> { words(name).iter().map(|b| u32::from_le_bytes(*b)).collect() };
    let text = std::fs::read_to_string(root.join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let is = |name: &str, found: f64| {
        let expected = expected["random"][name].as_f64().unwrap();
        assert!(
            (found - expected).abs() < 1e-6,
            "{name}: {found}, {expected}"
        );
    };

    let mut hits = Hits::new(vec![false; 12]);
    let labels = counts("labels");
    for (scores, label) in floats("logits").chunks(12).zip(&labels) {
        hits.add(scores, *label as usize);
    }
    is("acc1", hits.top1().share().unwrap());
    is("acc5", hits.top5().unwrap().share().unwrap());
    is(
        "mean_per_class_recall",
        hits.mean_per_class_recall().unwrap(),
    );

    let matrix = |name: &str| {
        let values = floats(name);
        let shape = [values.len() / 8, 8];
        Tensor::<2>::from_data(TensorData::new(values, shape), &tested())
    };
    let images = counts("owners");
    let texts = Texts {
        embeddings: matrix("texts"),
        languages: vec![String::new(); images.len()],
        images,
    };
    let found = retrieve(&matrix("images"), &texts)[""];
    for (place, k) in AMONG.into_iter().enumerate() {
        let share = |recalls: Recalls| recalls.0[place].share().unwrap();
        is(
            &format!("image_retrieval_recall@{k}"),
            share(found.text_to_image),
        );
        is(
            &format!("text_retrieval_recall@{k}"),
            share(found.image_to_text),
        );
    }
}
