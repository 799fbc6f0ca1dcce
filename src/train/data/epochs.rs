//! Which sample stands at which place of a training run over files: what is held out, how often each source is gone
//! through, and how they are mixed. All of it is computed from numbers, so that a run can be resumed at any place and
//! every rank finds its own.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::order::Order;

/// What the order of samples follows from.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Samples of each source, and how often an epoch goes through them.
    pub sources: Vec<(Range<u64>, f64)>,
    /// Number of the first sample of each run of neighbours, and of all samples.
    pub starts: Vec<u64>,
    /// Samples that are kept out of training.
    pub held_out: u64,
    /// Samples of the training set; 0 is all that are left.
    pub pairs: u64,
    /// 0 mixes all, else windows of so many.
    pub window: u64,
    /// Of the data and of the run.
    pub seeds: [u64; 2],
}

/// The order of a run.
#[derive(Clone, Debug)]
pub struct Epochs {
    chosen: Chosen,
    held_out: Arc<Vec<u64>>,
    sources: Vec<Source>,
    /// Places in the training set at which runs of neighbours begin.
    starts: Vec<u64>,
    window: u64,
    seeds: [u64; 2],
    /// Places of an epoch.
    length: u64,
    /// The runs of the two epochs that were asked for last: a batch may lie in both.
    recent: Arc<Mutex<[Option<OfEpoch>; 2]>>,
}

/// An epoch and its runs.
type OfEpoch = (u64, Arc<Runs>);

/// A source in the training set.
#[derive(Clone, Debug)]
struct Source {
    samples: Range<u64>,
    /// Places of an epoch that are its own.
    places: Range<u64>,
}

/// Which samples are trained on, in ascending order.
#[derive(Clone, Debug)]
enum Chosen {
    /// All but those held out.
    Rest {
        all: u64,
    },
    These(Arc<Vec<u64>>),
}

/// Runs of neighbours in the order in which an epoch goes through them: the first place of each in the epoch, and where it
/// begins among the places of the sources.
type Runs = Vec<(u64, u64)>;

impl Epochs {
    /// `None` when more samples are held out than there are, or none is left.
    pub fn new(plan: Plan) -> Option<Self> {
        let all = plan.starts.last().copied().unwrap_or(0);
        let left = all.checked_sub(plan.held_out).filter(|left| *left > 0)?;
        let choice = Order::new(all, [plan.seeds[0], 0], CHOICE);
        let sorted = |places: Range<u64>| {
            let mut samples: Vec<u64> = places.map(|place| choice.at(place)).collect();
            samples.sort_unstable();
            Arc::new(samples)
        };
        let held_out = sorted(0..plan.held_out);
        let chosen = match plan.pairs {
            0 => Chosen::Rest { all },
            pairs if pairs >= left => Chosen::Rest { all },
            pairs => Chosen::These(sorted(plan.held_out..plan.held_out + pairs)),
        };
        let mut epochs = Self {
            chosen,
            held_out,
            sources: Vec::new(),
            starts: Vec::new(),
            window: plan.window,
            seeds: plan.seeds,
            length: 0,
            recent: Arc::default(),
        };
        epochs.starts = plan
            .starts
            .iter()
            .map(|&start| epochs.before(start))
            .collect();
        for (samples, weight) in plan.sources {
            let samples = epochs.before(samples.start)..epochs.before(samples.end);
            let places = ((samples.end - samples.start) as f64 * weight).round() as u64;
            let places = epochs.length..epochs.length.checked_add(places)?;
            epochs.length = places.end;
            epochs.sources.push(Source { samples, places });
        }
        (epochs.length > 0).then_some(epochs)
    }

    /// Places of an epoch.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Samples that are kept out of training, in ascending order.
    pub fn held_out(&self) -> &[u64] {
        &self.held_out
    }

    /// Samples of the training set.
    pub fn samples(&self) -> u64 {
        match &self.chosen {
            Chosen::Rest { all } => all - self.held_out.len() as u64,
            Chosen::These(samples) => samples.len() as u64,
        }
    }

    /// The `n`th sample of the training set.
    pub fn sample(&self, n: u64) -> u64 {
        match &self.chosen {
            Chosen::These(samples) => samples[n as usize],
            Chosen::Rest { .. } => {
                // Of the samples held out, those before it: the i-th lies at i + the number of samples left before it.
                let held = &self.held_out;
                let (mut low, mut high) = (0, held.len());
                while low < high {
                    let middle = (low + high) / 2;
                    match held[middle] - middle as u64 <= n {
                        true => low = middle + 1,
                        false => high = middle,
                    }
                }
                n + low as u64
            }
        }
    }

    /// Samples of the training set before sample `sample`.
    fn before(&self, sample: u64) -> u64 {
        match &self.chosen {
            Chosen::These(samples) => samples.partition_point(|&own| own < sample) as u64,
            Chosen::Rest { .. } => {
                sample - self.held_out.partition_point(|&held| held < sample) as u64
            }
        }
    }

    /// The sample at `place` of `epoch`.
    pub fn at(&self, epoch: u64, place: u64) -> u64 {
        let n = match self.window {
            0 => self.of_source(epoch, Order::new(self.length, self.seeds, epoch).at(place)),
            window => {
                let first = place / window * window;
                let inside = (self.length - first).min(window);
                let seeds = [self.seeds[0] ^ WINDOW, self.seeds[1].wrapping_add(first)];
                let mixed = first + Order::new(inside, seeds, epoch).at(place - first);
                self.in_runs(epoch, mixed)
            }
        };
        self.sample(n)
    }

    /// The sample of the training set at one of the places of a source, before anything is mixed. Places beyond the last
    /// whole copy have another part of the source each epoch.
    fn of_source(&self, epoch: u64, place: u64) -> u64 {
        let at = self
            .sources
            .partition_point(|source| source.places.end <= place);
        let Source { samples, places } = &self.sources[at];
        let (count, own) = (samples.end - samples.start, place - places.start);
        let whole = (places.end - places.start) / count * count;
        let n = match own < whole {
            true => own % count,
            false => {
                let seeds = [self.seeds[0] ^ PART, self.seeds[1].wrapping_add(at as u64)];
                Order::new(count, seeds, epoch).at(own - whole)
            }
        };
        samples.start + n
    }

    /// The same with runs of neighbours in an order of the epoch, each from its first place on.
    fn in_runs(&self, epoch: u64, place: u64) -> u64 {
        let runs = self.runs(epoch);
        let at = runs.partition_point(|(first, _)| *first <= place) - 1;
        let (first, from) = runs[at];
        self.of_source(epoch, from + (place - first))
    }

    /// Cut the places of all sources where neighbours end, and mix the pieces.
    fn runs(&self, epoch: u64) -> Arc<Runs> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        for (known, runs) in recent.iter().flatten() {
            if *known == epoch {
                return runs.clone();
            }
        }
        let mut pieces: Vec<Range<u64>> = Vec::new();
        for Source { samples, places } in &self.sources {
            let count = samples.end - samples.start;
            let mut first = places.start;
            while first < places.end {
                let copy = first..(first + count).min(places.end);
                let cuts = self.starts.iter().filter(|start| samples.contains(start));
                let cuts = cuts.map(|start| first + (start - samples.start));
                let mut cuts: Vec<u64> = cuts.filter(|cut| *cut < copy.end).collect();
                cuts.push(copy.end);
                cuts.dedup();
                pieces.extend(cuts.windows(2).map(|pair| pair[0]..pair[1]));
                first = copy.end;
            }
        }
        let order = Order::new(
            pieces.len() as u64,
            [self.seeds[0] ^ RUNS, self.seeds[1]],
            epoch,
        );
        let mut first = 0;
        let mut runs = Vec::with_capacity(pieces.len());
        for n in 0..pieces.len() as u64 {
            let piece = &pieces[order.at(n) as usize];
            runs.push((first, piece.start));
            first += piece.end - piece.start;
        }
        let runs = Arc::new(runs);
        recent.swap(0, 1);
        recent[0] = Some((epoch, runs.clone()));
        runs
    }
}

/// Names of the orders that are not that of an epoch.
const CHOICE: u64 = u64::MAX;
const WINDOW: u64 = 0x77696e646f77;
const PART: u64 = 0x70617274;
const RUNS: u64 = 0x72756e73;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Three sources of 40, 25 and 10 samples in shards of 10.
    fn plan() -> Plan {
        Plan {
            sources: vec![(0..40, 1.0), (40..65, 1.0), (65..75, 1.0)],
            starts: vec![0, 10, 20, 30, 40, 50, 60, 65, 75],
            held_out: 0,
            pairs: 0,
            window: 0,
            seeds: [1, 2],
        }
    }

    fn epoch(epochs: &Epochs, epoch: u64) -> Vec<u64> {
        (0..epochs.len())
            .map(|place| epochs.at(epoch, place))
            .collect()
    }

    #[test]
    fn an_epoch_goes_through_each_sample_once_however_it_is_mixed() {
        for window in [0, 1, 7, 30, 1_000] {
            let epochs = Epochs::new(Plan { window, ..plan() }).unwrap();
            let orders: Vec<_> = (0..3).map(|n| epoch(&epochs, n)).collect();
            for order in &orders {
                let mut sorted = order.clone();
                sorted.sort_unstable();
                assert!(sorted.into_iter().eq(0..75), "{window}");
            }
            assert_ne!(orders[0], orders[1]);
            let again = Epochs::new(Plan { window, ..plan() }).unwrap();
            assert_eq!(epoch(&again, 2), orders[2]);
            let other = Plan {
                window,
                seeds: [1, 3],
                ..plan()
            };
            assert_ne!(epoch(&Epochs::new(other).unwrap(), 0), orders[0]);
        }
    }

    /// With windows of 10, at most three shards are open at one time: the two that a window lies in, and none else.
    #[test]
    fn a_window_reads_few_shards() {
        let epochs = Epochs::new(Plan {
            window: 10,
            ..plan()
        })
        .unwrap();
        for n in 0..5 {
            for window in epoch(&epochs, n).chunks(10) {
                let shards: std::collections::BTreeSet<_> = window
                    .iter()
                    .map(|sample| plan().starts.partition_point(|start| start <= sample))
                    .collect();
                assert!(shards.len() <= 4, "{window:?}");
            }
        }
        let one = Epochs::new(Plan {
            window: 1,
            ..plan()
        })
        .unwrap();
        let breaks = epoch(&one, 0)
            .windows(2)
            .filter(|pair| pair[1] != pair[0] + 1)
            .count();
        assert!(
            (1..8).contains(&breaks),
            "shards are mixed and read through: {breaks}"
        );
    }

    #[test]
    fn a_weight_is_how_often_a_source_is_gone_through() {
        for window in [0, 20] {
            let sources = vec![(0..40, 0.5), (40..65, 2.0), (65..75, 1.3)];
            let epochs = Epochs::new(Plan {
                sources,
                window,
                ..plan()
            })
            .unwrap();
            assert_eq!(epochs.len(), 20 + 50 + 13);
            let mut seen = BTreeMap::new();
            for n in 0..200 {
                let mut here = BTreeMap::new();
                for sample in epoch(&epochs, n) {
                    *here.entry(sample).or_insert(0) += 1;
                    *seen.entry(sample).or_insert(0) += 1;
                }
                assert!(here.range(..40).all(|(_, count)| *count == 1));
                assert!(
                    here.range(40..65).all(|(_, count)| *count == 2)
                        && here.range(40..65).count() == 25
                );
                assert!(here.range(65..).all(|(_, count)| (1..=2).contains(count)));
            }
            // Each of the first source in about half of the epochs.
            assert_eq!(seen.range(..40).count(), 40);
            assert!(
                seen.range(..40).all(|(_, count)| (60..140).contains(count)),
                "{seen:?}"
            );
        }
    }

    #[test]
    fn what_is_held_out_is_never_trained_on_and_a_smaller_set_is_part_of_a_larger() {
        let of = |held_out, pairs, window| {
            Epochs::new(Plan {
                held_out,
                pairs,
                window,
                ..plan()
            })
            .unwrap()
        };
        for window in [0, 9] {
            let epochs = of(12, 0, window);
            assert_eq!(
                (epochs.held_out().len(), epochs.samples(), epochs.len()),
                (12, 63, 63)
            );
            let mut all = [epoch(&epochs, 4), epochs.held_out().to_vec()].concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..75));
            let set = |pairs| -> std::collections::BTreeSet<u64> {
                epoch(&of(12, pairs, window), 0).into_iter().collect()
            };
            let (small, large) = (set(20), set(50));
            assert_eq!((small.len(), large.len()), (20, 50));
            assert!(small.is_subset(&large));
            assert_eq!(of(12, 20, window).held_out(), epochs.held_out());
        }
        assert!(
            Epochs::new(Plan {
                held_out: 75,
                ..plan()
            })
            .is_none()
        );
        assert!(
            Epochs::new(Plan {
                held_out: 76,
                ..plan()
            })
            .is_none()
        );
    }
}
