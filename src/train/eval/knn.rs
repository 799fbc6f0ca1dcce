//! Nearest neighbours, as self-supervised image towers are judged (arXiv 1805.01978, section 3.4, without its weights): a
//! picture of the evaluation is of the class that most of the k training pictures have whose embeddings have the
//! greatest cosine with its own. Classes that training never shows cannot be found that way, and are left out.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};

use super::proportion::Proportion;
use super::{CHUNK, Labelled};
use crate::train::device::host;

/// Neighbours that vote, besides the nearest alone.
const VOTERS: usize = 20;

/// How often the nearest neighbour is of the class asked for, and how often the vote of the 20 nearest is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Neighbours {
    pub nearest: Proportion,
    pub voted: Proportion,
}

impl Neighbours {
    /// `PREFIX/top1` by the nearest, `PREFIX/top1_k20` by the vote, of `PREFIX/n` pictures. Fractions in [0, 1].
    pub fn metrics(&self, prefix: &str) -> BTreeMap<String, f64> {
        let shares = [
            ("top1", self.nearest.share()),
            ("top1_k20", self.voted.share()),
            (
                "n",
                self.nearest.share().map(|_| self.nearest.trials as f64),
            ),
        ];
        let known = shares.into_iter();
        known
            .filter_map(|(name, share)| Some((format!("{prefix}/{name}"), share?)))
            .collect()
    }
}

/// The classes of `asked` by their neighbours in `bank`, on `device`. `held_out` says of each class whether training never
/// shows it.
pub fn run(bank: &Labelled, asked: &Labelled, held_out: &[bool], device: &Device) -> Neighbours {
    let mut found = Neighbours::default();
    if bank.labels.is_empty() {
        return found;
    }
    let dim = bank.embeddings.len() / bank.labels.len();
    let matrix = |values: &[f32]| {
        let shape = [values.len() / dim, dim];
        Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), device)
    };
    let columns = matrix(&bank.embeddings).transpose();
    let (asked, _) = asked.part(|at| held_out[asked.labels[at]]);
    for (rows, labels) in asked
        .embeddings
        .chunks(CHUNK * dim)
        .zip(asked.labels.chunks(CHUNK))
    {
        let cosines = host(matrix(rows).matmul(columns.clone()));
        for (row, label) in cosines.chunks_exact(bank.labels.len()).zip(labels) {
            let neighbours = neighbours(row, &bank.labels);
            let first = &neighbours[..neighbours.len().min(1)];
            found.nearest.add(vote(first) == Some(*label));
            found.voted.add(vote(&neighbours) == Some(*label));
        }
    }
    found
}

/// The labels of the [`VOTERS`] greatest cosines, greatest first; of equals, those first in the bank. A cosine that is no
/// number is of no neighbour.
fn neighbours(cosines: &[f32], labels: &[usize]) -> Vec<usize> {
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
fn vote(neighbours: &[usize]) -> Option<usize> {
    let count = |label: &usize| neighbours.iter().filter(|other| *other == label).count();
    // `max_by_key` gives the last of equals.
    neighbours
        .iter()
        .rev()
        .max_by_key(|label| count(label))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::device::tested;

    #[test]
    fn most_of_the_nearest_decide_and_the_nearest_of_equals() {
        assert_eq!(vote(&[3, 1, 1, 2]), Some(1));
        assert_eq!(vote(&[2, 1, 1, 2]), Some(2));
        assert_eq!(vote(&[]), None);
        let mut cosines = vec![0.0; 40];
        (cosines[7], cosines[30], cosines[31]) = (0.5, 0.9, f32::NAN);
        let labels: Vec<usize> = (0..40).collect();
        let found = neighbours(&cosines, &labels);
        assert_eq!(found[..4], [30, 7, 0, 1]);
        assert_eq!(found.len(), VOTERS);
        assert_eq!(neighbours(&[f32::NAN; 3], &[0, 1, 2]), [0; 0]);
    }

    #[test]
    fn classes_that_training_never_shows_are_not_asked_for() {
        let bank = Labelled {
            embeddings: vec![1.0, 0.0, 0.0, 1.0],
            labels: vec![0, 1],
        };
        let asked = Labelled {
            embeddings: vec![0.8, 0.6, 0.6, 0.8, 0.6, 0.8, f32::NAN, 0.0],
            labels: vec![0, 0, 2, 1],
        };
        let found = run(&bank, &asked, &[false, false, true], &tested());
        let expected = Proportion { hits: 1, trials: 3 };
        assert_eq!(found.nearest, expected);
        assert_eq!(found.metrics("knn")["knn/n"], 3.0);
        assert_eq!(found.metrics("knn")["knn/top1"], 1.0 / 3.0);
    }
}
