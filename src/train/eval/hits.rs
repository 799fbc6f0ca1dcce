//! What came of asking a classifier for the classes of pictures: how often the right one had the highest score, or one of
//! the five highest, over all and class by class.

use std::collections::BTreeMap;

use super::proportion::Proportion;

/// Scores that were compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Hits {
    /// By class.
    held_out: Vec<bool>,
    by_class: Vec<Proportion>,
    top5: Proportion,
}

impl Hits {
    /// Of nothing so far. `held_out` says of each class whether training never shows it.
    pub fn new(held_out: Vec<bool>) -> Self {
        Self {
            by_class: vec![Proportion::default(); held_out.len()],
            held_out,
            top5: Proportion::default(),
        }
    }

    /// Count a picture of class `label`, whose classes have these `scores`. Ties count against the right one, and so does
    /// a score that is no number: a model that says the same of everything, or nothing, hits nothing.
    pub fn add(&mut self, scores: &[f32], label: usize) {
        let beaten = |score: f32| score < scores[label];
        let others = scores.iter().enumerate().filter(|(at, _)| *at != label);
        let better = others.filter(|(_, score)| !beaten(**score)).count();
        self.by_class[label].add(better < 1);
        self.top5.add(better < 5);
    }

    /// Those of another question about the same classes, as well.
    pub fn merge(&mut self, other: &Self) {
        self.top5.merge(other.top5);
        for (class, other) in self.by_class.iter_mut().zip(&other.by_class) {
            class.merge(*other);
        }
    }

    /// The right class came first.
    pub fn top1(&self) -> Proportion {
        self.over(|_| true)
    }

    /// The right class was one of the first five; none where five are all.
    pub fn top5(&self) -> Option<Proportion> {
        (self.by_class.len() > 5).then_some(self.top5)
    }

    /// The mean over classes of the share of their pictures that came out right, each class counting alike; none without
    /// a picture.
    pub fn mean_per_class_recall(&self) -> Option<f64> {
        let classes = self.by_class.iter();
        let recalls: Vec<f64> = classes.filter_map(|class| class.share()).collect();
        (!recalls.is_empty()).then(|| recalls.iter().sum::<f64>() / recalls.len() as f64)
    }

    fn over(&self, wanted: impl Fn(bool) -> bool) -> Proportion {
        let classes = self.by_class.iter().zip(&self.held_out);
        let wanted = classes.filter(|(_, held_out)| wanted(**held_out));
        let mut sum = Proportion::default();
        wanted.for_each(|(class, _)| sum.merge(*class));
        sum
    }

    /// `PREFIX/top1`, `PREFIX/top5` and `PREFIX/mean_per_class_recall` over all classes, of `PREFIX/n` pictures;
    /// `PREFIX/top1_seen` and `PREFIX/top1_held_out` over those that training showed and did not show, where that is known,
    /// of `PREFIX/n_seen` and `PREFIX/n_held_out`. Shares are fractions in [0, 1].
    pub fn metrics(&self, prefix: &str) -> BTreeMap<String, f64> {
        let known = self.held_out.iter().any(|held_out| *held_out);
        let of = |wanted: bool| known.then(|| self.over(|held_out| held_out == wanted));
        let (seen, held_out) = (of(false), of(true));
        let share = |of: Option<Proportion>| of.and_then(|of| of.share());
        let trials = |of: Option<Proportion>| of.map(|of| of.trials as f64);
        let numbers = [
            ("top1", self.top1().share()),
            ("top5", share(self.top5())),
            ("top1_seen", share(seen)),
            ("top1_held_out", share(held_out)),
            ("mean_per_class_recall", self.mean_per_class_recall()),
            ("n", Some(self.top5.trials as f64)),
            ("n_seen", trials(seen)),
            ("n_held_out", trials(held_out)),
        ];
        let known = numbers.into_iter().filter(|_| self.top5.trials > 0);
        known
            .filter_map(|(name, number)| Some((format!("{prefix}/{name}"), number?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seven classes; the right one has `better` before it.
    fn add(hits: &mut Hits, label: usize, better: usize) {
        let mut scores = [0.0; 7];
        scores[label] = 0.5;
        let others = (0..7).filter(|class| *class != label).take(better);
        others.for_each(|class| scores[class] = 1.0);
        hits.add(&scores, label);
    }

    #[test]
    fn hits_are_fractions_of_what_was_shown() {
        let mut held_out = vec![false; 7];
        held_out[3] = true;
        let mut hits = Hits::new(held_out);
        for (label, better) in [(0, 0), (0, 3), (1, 6), (3, 0)] {
            add(&mut hits, label, better);
        }
        let third = 1.0 / 3.0;
        let expected = [
            ("mean_per_class_recall", 0.5),
            ("n", 4.0),
            ("n_held_out", 1.0),
            ("n_seen", 3.0),
            ("top1", 0.5),
            ("top1_held_out", 1.0),
            ("top1_seen", third),
            ("top5", 0.75),
        ];
        let expected = expected.map(|(name, share)| (format!("zeroshot/{name}"), share));
        assert_eq!(hits.metrics("zeroshot"), BTreeMap::from(expected));
    }

    #[test]
    fn scores_that_are_no_numbers_hit_nothing() {
        for score_of_all in [f32::NAN, 1.0] {
            let mut hits = Hits::new(vec![false; 3]);
            hits.add(&[score_of_all; 3], 1);
            assert_eq!(hits.top1().share(), Some(0.0));
        }
    }

    #[test]
    fn of_five_classes_all_are_among_the_first_five() {
        let mut hits = Hits::new(vec![false; 5]);
        hits.add(&[0.0, 1.0, 2.0, 3.0, 4.0], 0);
        let metrics = hits.metrics("x");
        assert!(!metrics.contains_key("x/top5") && !metrics.contains_key("x/top1_seen"));
        assert!(Hits::new(vec![false; 5]).metrics("x").is_empty());
    }
}
