//! Which negatives the sigmoid loss counts (arXiv 2303.15343, section 4.8): all, or a given number for each positive, at
//! random, by their places or those of greatest or least loss of the whole batch. A pair is judged where it is met, by its similarity
//! and its place in the batch, against a cut that trips round the ring found before: nothing is held that grows with the
//! square of the batch. What a pair contributes is the loss's affair.
//!
//! Neither the number of ranks nor the tile changes the choice, up to the rounding of similarities: the products of
//! another tile may swap two pairs that differ in the last bit alone. How many count is exact always.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::places::{Place, Places};
use super::ring::{Plan, Seek, Square, trip};
use super::tile::{Real, Rows};
use crate::train::config::{ConfigError, check};
use crate::train::mesh::{Mesh, RankLost};
use crate::train::splitmix::scramble;

/// Which negatives count; positives always do. It asks whether the loss needs the many easy negatives of a large batch
/// or the few hard ones (arXiv 2303.15343, section 4.8 and Fig. 6). The loss of the pairs that count is divided by the
/// batch size all the same, and `negative_logit/*` of a run's rows is about them alone; `negatives_kept` says how many
/// they were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NegativesConfig {
    /// By what they are chosen.
    pub keep: Keep,
    /// Negatives for each positive: of the B (B − 1) negatives of a global batch of B pairs, `ratio` · B count, rounded.
    /// B − 1 or more is all. It must be above 0, but for `keep = "all"`, which does not use it, and whole for "rolled".
    pub ratio: f64,
}

/// By what negatives are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// All of them count.
    #[default]
    All,
    /// Each counts with probability `ratio` / (B − 1), drawn from the seed, the step and the places of image and text
    /// in the batch: how many do varies about `ratio` · B.
    Random,
    /// Those of greatest loss, which are the most similar pairs, over the whole batch and not row by row. Of equals at
    /// the cut, as pairs with the same caption are, it is drawn as above which count.
    Hard,
    /// Those of least loss, chosen as the hard ones are.
    Easy,
    /// The hard ones, in a run that is (B − 1) / `ratio` times as long as `train.examples` says, so that as many negatives
    /// count in all as when each does (the paper's matched pairs). The warm-up stays as it is.
    HardMatched,
    /// For each image the texts of the `ratio` pairs that follow its own in the batch, the first ones after the last: for
    /// each text as many images. With 1 there are as many negatives as positives (CLIP-Lite, arXiv 2112.07133).
    Rolled,
}

/// Whether [`Keep::Rolled`] counts an image and a text of a batch of `batch` pairs, by their places in it, with `each`
/// negatives for each positive.
pub fn is_rolled(image: usize, text: usize, batch: usize, each: usize) -> bool {
    let ahead = (text + batch - image) % batch;
    (1..=each).contains(&ahead)
}

impl NegativesConfig {
    /// Negatives that count for each positive of a batch of `batch` pairs.
    pub fn per_positive(&self, batch: usize) -> f64 {
        let others = batch.saturating_sub(1) as f64;
        match self.keep {
            Keep::All => others,
            _ => self.ratio.min(others),
        }
    }

    /// Whether the negatives that count are a fair sample of all, as opposed to those of some loss.
    pub fn are_by_chance(&self, batch: usize) -> bool {
        match self.keep {
            Keep::All | Keep::Random | Keep::Rolled => true,
            Keep::Hard | Keep::HardMatched | Keep::Easy => self.ratio >= batch as f64 - 1.0,
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let Self { keep, ratio } = *self;
        check(
            "loss.negatives.ratio",
            ratio.is_finite() && ratio >= 0.0,
            || format!("{ratio} is not a finite number from 0 up"),
        )?;
        check(
            "loss.negatives.ratio",
            keep == Keep::All || ratio > 0.0,
            || "must be above 0 when not all negatives are kept".into(),
        )?;
        check(
            "loss.negatives.ratio",
            keep != Keep::Rolled || ratio.fract() == 0.0,
            || format!("{ratio} is not a whole number, which \"rolled\" wants"),
        )
    }
}

/// What the random choices of one step follow from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draw {
    /// Of the run.
    pub seed: u64,
    /// Number of the update.
    pub step: u64,
}

/// The negatives that count in one step, over all ranks.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Start of the step's hash sequence.
    stream: u64,
    rule: Rule,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    /// The hash is below.
    Drawn { below: u64 },
    /// The text is of one of the next so many pairs.
    Rolled { each: usize },
    /// The key is at least this high.
    Ranked { order: Order, cut: u128 },
}

/// What is ranked highest.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    MostSimilar,
    LeastSimilar,
}

/// No pair is ranked as high.
const NOTHING: u128 = u128::MAX;

/// As many keys are listed over all ranks when the cut is among them (1 MiB).
const LISTED: u64 = 1 << 16;

/// Log of the number of bins that part a range of keys (512 KiB).
const BIN_BITS: u32 = 16;

/// Shows every square of this rank, in any order; all ranks must call it together.
pub type EachSquare<'a, T> = dyn Fn(&(dyn Fn(&Square<T>) + Sync)) -> Result<(), RankLost> + 'a;

/// Choose the negatives of a step. None is all.
pub fn select<T: Real>(
    config: &NegativesConfig,
    (mesh, places): (&Mesh, &Places),
    image: Rows<T>,
    text: &Arc<Vec<T>>,
    plan: Plan,
    draw: Draw,
) -> Result<Option<Selection>, RankLost> {
    let each_square = |see: &(dyn Fn(&Square<T>) + Sync)| {
        let visit = |square: &mut Square<T>| see(square);
        let purpose = (plan, Seek::Nothing);
        trip(mesh, image, text, Vec::new(), purpose, visit, |()| ()).map(|_| ())
    };
    select_among(config, (mesh, places), draw, &each_square)
}

/// [`select`], among the pairs of any squares.
///
/// The K hardest are those with keys from the K-th greatest up. While more keys than can be listed lie in the range
/// where that one is, a trip round the ring counts them by equal parts of the range, and the part that holds it is the
/// next range. The last trip lists the keys of the range. All ranks see the same counts, and so the same cut. Each trip
/// forms the same squares in the same way as the one that takes the gradients, so their similarities are the same bits.
pub fn select_among<T: Real>(
    config: &NegativesConfig,
    (mesh, places): (&Mesh, &Places),
    draw: Draw,
    each_square: &EachSquare<T>,
) -> Result<Option<Selection>, RankLost> {
    let NegativesConfig { keep, ratio } = *config;
    let others = places.batch().saturating_sub(1) as f64;
    if keep == Keep::All || ratio >= others {
        return Ok(None);
    }
    let mut selection = Selection {
        stream: mix(mix(draw.seed).wrapping_add(draw.step)),
        rule: Rule::Drawn {
            // The product is below 2^64, since the probability is below 1.
            below: (ratio / others * 2.0_f64.powi(64)) as u64,
        },
    };
    let order = match keep {
        Keep::All | Keep::Random => return Ok(Some(selection)),
        Keep::Rolled => {
            // It is below B − 1.
            let each = ratio as usize;
            selection.rule = Rule::Rolled { each };
            return Ok(Some(selection));
        }
        Keep::Hard | Keep::HardMatched => Order::MostSimilar,
        Keep::Easy => Order::LeastSimilar,
    };
    let search = Search {
        mesh,
        each_square,
        keys: Keys {
            places,
            selection: &selection,
            order,
        },
    };
    let cut = search.find((ratio * places.batch() as f64).round() as u64)?;
    selection.rule = Rule::Ranked { order, cut };
    Ok(Some(selection))
}

impl Selection {
    /// Whether similarities decide.
    pub fn is_ranked(&self) -> bool {
        matches!(self.rule, Rule::Ranked { .. })
    }

    /// Whether the negative in this column of a row with similarity `s` counts.
    #[inline(always)]
    pub fn keeps(&self, place: Place, column: usize, s: f64) -> bool {
        match self.rule {
            Rule::Drawn { below } => self.hash(place.index(column)) < below,
            Rule::Rolled { each } => is_rolled(place.image, place.text + column, place.batch, each),
            Rule::Ranked { order, cut } => {
                let (rank, least) = (order.rank(s), (cut >> 64) as u64);
                rank > least || rank == least && self.key(rank, place.index(column)) >= cut
            }
        }
    }

    /// The `index`-th number of the step's SplitMix64 sequence: no two of a step are equal.
    fn hash(&self, index: u64) -> u64 {
        mix(self.stream.wrapping_add(index.wrapping_mul(GOLDEN)))
    }

    /// What pairs are sorted by: no two of a step are equal.
    fn key(&self, rank: u64, index: u64) -> u128 {
        u128::from(rank) << 64 | u128::from(self.hash(index))
    }
}

/// The way to the cut.
struct Search<'a, T> {
    mesh: &'a Mesh,
    each_square: &'a EachSquare<'a, T>,
    keys: Keys<'a>,
}

/// What ranks the negatives.
#[derive(Clone, Copy)]
struct Keys<'a> {
    places: &'a Places,
    selection: &'a Selection,
    order: Order,
}

impl<T: Real> Search<'_, T> {
    /// The key of the `wanted`-th highest negative.
    fn find(&self, mut wanted: u64) -> Result<u128, RankLost> {
        if wanted == 0 {
            return Ok(NOTHING);
        }
        let batch = self.keys.places.batch() as u64;
        let (mut low, mut high) = (u128::MIN, u128::MAX);
        let mut within = batch * (batch - 1);
        while wanted < within {
            if within <= LISTED {
                let keys = self.list(low..=high)?;
                let bytes = size_of_val(&keys[..]);
                let lists = self.mesh.gather_sized(Arc::new(keys), bytes)?;
                let mut keys: Vec<u128> = lists.iter().flat_map(|keys| &**keys).copied().collect();
                let place = keys.len() - wanted as usize;
                return Ok(*keys.select_nth_unstable(place).1);
            }
            let width = u128::BITS - (high - low).leading_zeros();
            let shift = width.saturating_sub(BIN_BITS);
            let counts = self.count(low..=high, shift)?;
            let bytes = size_of_val(&counts[..]);
            let counts = self.mesh.gather_sized(Arc::new(counts), bytes)?;
            let total = |bin: usize| counts.iter().map(|counts| counts[bin]).sum::<u64>();
            let mut bin = (1 << BIN_BITS) - 1;
            within = total(bin);
            while within < wanted {
                wanted -= within;
                bin -= 1;
                within = total(bin);
            }
            low += (bin as u128) << shift;
            high = low + ((1 << shift) - 1);
        }
        Ok(low)
    }

    /// This rank's keys in a range.
    fn list(&self, range: RangeInclusive<u128>) -> Result<Vec<u128>, RankLost> {
        let (keys, all) = (self.keys, Mutex::new(Vec::new()));
        (self.each_square)(&|square| {
            let mut seen = Vec::new();
            keys.visit(square, &range, |key| seen.push(key));
            all.lock().expect("no thread panics with it").extend(seen);
        })?;
        Ok(all.into_inner().expect("no thread panics with it"))
    }

    /// How many of this rank's keys lie in each of the parts of a range that are `1 << shift` wide.
    fn count(&self, range: RangeInclusive<u128>, shift: u32) -> Result<Vec<u64>, RankLost> {
        let counts: Vec<AtomicU64> = (0..1 << BIN_BITS).map(|_| AtomicU64::new(0)).collect();
        let keys = self.keys;
        (self.each_square)(&|square| {
            keys.visit(square, &range, |key| {
                let bin = (key - range.start()) >> shift;
                counts[bin as usize].fetch_add(1, Ordering::Relaxed);
            });
        })?;
        Ok(counts.into_iter().map(AtomicU64::into_inner).collect())
    }
}

impl Keys<'_> {
    /// Show `see` the keys of a square's negatives that lie in a range.
    fn visit<T: Real>(
        self,
        square: &Square<T>,
        range: &RangeInclusive<u128>,
        mut see: impl FnMut(u128),
    ) {
        let ranks = (range.start() >> 64) as u64..=(range.end() >> 64) as u64;
        for row in 0..square.rows.len() {
            let (place, partner) = (self.places.of(square, row), square.partner(row));
            for (column, s) in square.values.row(row).iter().enumerate() {
                let rank = self.order.rank(s.wide());
                if ranks.contains(&rank) && partner != Some(column) {
                    let key = self.selection.key(rank, place.index(column));
                    if range.contains(&key) {
                        see(key);
                    }
                }
            }
        }
    }
}

impl Order {
    /// A similarity as a whole number, to 2^-62: that is exact for an f32 from 2^-38 up, and nearer ones are equals. What
    /// is beyond 2 counts as 2, and what is no number as 0: both come from no unit vectors.
    fn rank(self, s: f64) -> u64 {
        let fixed = (s * (1_u64 << 62) as f64) as i64;
        let ascending = fixed as u64 ^ 1 << 63;
        match self {
            Self::MostSimilar => ascending,
            Self::LeastSimilar => !ascending,
        }
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// What SplitMix64 gives first in state `x`; a bijection.
fn mix(x: u64) -> u64 {
    scramble(x.wrapping_add(GOLDEN))
}

#[cfg(test)]
mod tests;
