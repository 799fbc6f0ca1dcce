//! Nearest neighbours, as self-supervised image towers are judged (arXiv 1805.01978, section 3.4, without its weights): a
//! picture of the evaluation is of the class that most of the k training pictures have whose embeddings have the
//! greatest cosine with its own. Classes that training never shows cannot be found that way, and are left out.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};

use super::{CHUNK, EvalConfig};
use crate::train::data::{DataError, Example, Source};
use crate::train::device::host;
use crate::train::inputs;
use crate::train::model::Model;

/// Neighbours that vote, besides the nearest alone.
const VOTERS: usize = 20;

/// `knn/top1` by the nearest, `knn/top1_k20` by the vote of the 20 nearest. Fractions in [0, 1].
pub fn run(
    config: &EvalConfig,
    model: &Model,
    source: &Source,
    device: &Device,
) -> Result<BTreeMap<String, f64>, DataError> {
    let source = &source.unspoilt();
    let embed = |examples: &[Example]| -> Result<Tensor<2>, DataError> {
        Ok(model.embed_images(inputs::images(source, examples, device)?))
    };
    let bank = match source.pairs() {
        0 => config.bank as u64,
        pairs => pairs.min(config.bank as u64),
    };
    let bank = source.train(0..bank)?;
    let labels = source.labels(&bank)?;
    let bank: Result<Vec<Tensor<2>>, DataError> = bank.chunks(CHUNK).map(embed).collect();
    let bank = Tensor::cat(bank?, 0).transpose();

    let asked = source.eval(0..config.images as u64)?;
    let classes = source.classes();
    let shown = source.labels(&asked)?.into_iter();
    let mut shown = shown.map(|label| !classes[label as usize].held_out);
    let mut asked = asked;
    asked.retain(|_| shown.next().unwrap_or(false));
    let (mut nearest, mut voted) = (0, 0);
    for examples in asked.chunks(CHUNK) {
        let cosines = host(embed(examples)?.matmul(bank.clone()));
        let rows = cosines.chunks_exact(labels.len());
        for (row, label) in rows.zip(source.labels(examples)?) {
            let neighbours = neighbours(row, &labels);
            nearest += u64::from(vote(&neighbours[..neighbours.len().min(1)]) == Some(label));
            voted += u64::from(vote(&neighbours) == Some(label));
        }
    }
    let counts = [("knn/top1", nearest), ("knn/top1_k20", voted)];
    let total = asked.len();
    Ok(counts
        .into_iter()
        .filter(|_| total > 0)
        .map(|(name, hits)| (name.to_owned(), hits as f64 / total as f64))
        .collect())
}

/// The labels of the [`VOTERS`] greatest cosines, greatest first; of equals, those first in the bank. A cosine that is no
/// number is of no neighbour.
fn neighbours(cosines: &[f32], labels: &[i32]) -> Vec<i32> {
    let mut places: Vec<usize> = (0..cosines.len()).collect();
    places.retain(|&place| !cosines[place].is_nan());
    let order =
        |a: &usize, b: &usize| -> Ordering { cosines[*b].total_cmp(&cosines[*a]).then(a.cmp(b)) };
    if places.len() > VOTERS {
        places.select_nth_unstable_by(VOTERS, order);
        places.truncate(VOTERS);
    }
    places.sort_unstable_by(order);
    places.into_iter().map(|place| labels[place]).collect()
}

/// The label that most of `neighbours` have; of equals, that of the nearest.
fn vote(neighbours: &[i32]) -> Option<i32> {
    let count = |label: &i32| neighbours.iter().filter(|other| *other == label).count();
    // `max_by_key` gives the last of equals.
    neighbours
        .iter()
        .rev()
        .max_by_key(|label| count(label))
        .copied()
}

#[cfg(test)]
mod tests {
    use burn::module::Module;

    use super::*;
    use crate::train::TrainConfig;
    use crate::train::data::Views;

    #[test]
    fn most_of_the_nearest_decide_and_the_nearest_of_equals() {
        assert_eq!(vote(&[3, 1, 1, 2]), Some(1));
        assert_eq!(vote(&[2, 1, 1, 2]), Some(2));
        assert_eq!(vote(&[]), None);
        let mut cosines = vec![0.0; 40];
        (cosines[7], cosines[30], cosines[31]) = (0.5, 0.9, f32::NAN);
        let labels: Vec<i32> = (0..40).collect();
        let found = neighbours(&cosines, &labels);
        assert_eq!(found[..4], [30, 7, 0, 1]);
        assert_eq!(found.len(), VOTERS);
        assert_eq!(neighbours(&[f32::NAN; 3], &[0, 1, 2]), [0; 0]);
    }

    /// Pixels themselves, as unit vectors, already say something of the class.
    #[test]
    fn a_tower_at_its_start_is_better_than_chance_and_one_that_says_nothing_hits_nothing() {
        let mut config = TrainConfig::default();
        let crate::train::data::DataConfig::Shapes(shapes) = &mut config.data else {
            unreachable!("the default")
        };
        (shapes.views, shapes.pairs) = (Views::ImageImage, 1_000);
        let eval = EvalConfig {
            images: 300,
            ..EvalConfig::default()
        };
        let source = Source::open(&config.data, 2, 0).unwrap();
        let device = Device::flex();
        let mut state = crate::train::step::State::new(&config, &source, &device);
        let metrics = run(&eval, &state.model.valid(), &source, &device).unwrap();
        assert!(metrics["knn/top1"] > 0.05, "{metrics:?}");
        assert!(metrics["knn/top1_k20"] > 0.02, "{metrics:?}");
        let length = state.layout.length();
        state.set(Tensor::full([length], f32::NAN, &device));
        let metrics = run(&eval, &state.model.valid(), &source, &device).unwrap();
        assert_eq!((metrics["knn/top1"], metrics["knn/top1_k20"]), (0.0, 0.0));
    }
}
