//! How long runs will take, learned from the finished runs of the workspace. It knows nothing of what a setting costs:
//! the finished runs whose settings differ in the fewest keys from a new run's are its measure.
//!
//! A run's rate is its seconds per example, see `cost`. The prediction is the mean of the log rates of the nearest finished
//! runs. Settings that do not change the cost do not count as differences: the seed, the budget, and the numbers of the
//! optimiser, but for a rate of 0, which locks a tower. The error is that of the same rule on the finished runs
//! themselves, each predicted without itself. It is taken apart for two cases, since a run that has twins is predicted
//! better than one of new settings: for settings that are known, each run is predicted by its twins; for others, all
//! runs of the same settings are left out together. With fewer than three such errors there is no interval, else the
//! 95 % interval is exp(prediction ± t · rms).

mod queue;
mod words;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use serde::Serialize;

use super::interval::t_quantile;
use crate::spec::RunSpec;
use crate::spec::leaves::{Leaf, leaves};
use crate::store::{Run, RunState};
use queue::{Job, makespan};

/// Errors that an interval takes at least.
const ENOUGH: usize = 3;
/// The code of a key that a run does not have, and of a value that no finished run has.
const ABSENT: u16 = 0;
const UNKNOWN: u16 = u16::MAX;

/// Seconds that a worker was at it for an example, evaluations and the start included; seconds of training alone where
/// the log has no times.
fn cost(run: &Run) -> Option<f64> {
    let seconds = match run.busy.as_secs_f64() {
        busy if busy > 0.0 => busy,
        _ => *run.series.seconds().last()?,
    };
    (seconds > 0.0 && run.examples > 0).then(|| seconds / run.examples as f64)
}

/// Time, with its 95 % interval where the errors are known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Span {
    pub seconds: f64,
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// How long one run takes from start to end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    #[serde(flatten)]
    pub span: Span,
    /// Finished runs that it is taken from, and the settings on which they differ from the run.
    pub from: usize,
    pub differences: usize,
}

/// What is left to do of a run, 0 to 1.
#[derive(Clone, Copy, Debug)]
pub struct Remaining<'s> {
    pub spec: &'s RunSpec,
    pub left: f64,
}

/// How long several runs take together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Total {
    /// Runs times the devices that each takes.
    pub device: Span,
    /// Until the last of them is done.
    pub done: Span,
}

/// What the finished runs of a workspace taught.
#[derive(Clone, Debug, Default)]
pub struct Forecast {
    keys: Keys,
    /// By key on which runs differ, the code of each group.
    codes: Vec<Vec<u16>>,
    groups: Vec<Group>,
    /// Half of the interval of a log rate for settings that some finished run has, and for others.
    known: Option<f64>,
    other: Option<f64>,
}

/// The keys of the finished runs, with a code for each value of those on which they differ.
#[derive(Clone, Debug, Default)]
struct Keys {
    places: HashMap<String, Place>,
    /// The keys of one run as they come, since those of most runs come in the same order.
    order: Vec<(String, Place)>,
    values: Vec<HashMap<String, u16>>,
    /// Keys that all have with the same value.
    common: usize,
}

#[derive(Clone, Debug)]
enum Place {
    /// The value that all have.
    Common(String),
    Varies(usize),
}

/// Key and text of each setting that matters, in the order of the settings.
type Settings = Vec<(String, String)>;

/// Settings as far as they tell finished runs apart, and on how many keys they differ from all of those.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Codes {
    codes: Vec<u16>,
    apart: usize,
}

/// Finished runs of the same settings.
#[derive(Clone, Debug, Default)]
struct Group {
    /// Of their log rates.
    sum: f64,
    runs: usize,
}

/// The groups that are nearest to some settings.
#[derive(Clone, Copy, Debug)]
struct Nearest {
    differences: usize,
    log_rate: f64,
    runs: usize,
}

impl Forecast {
    /// Learn from those of `runs` that are complete.
    pub fn learn<'r>(runs: impl IntoIterator<Item = &'r Run>) -> Self {
        let finished = runs
            .into_iter()
            .filter(|run| run.state == RunState::Completed);
        let rates = finished.filter_map(|run| Some((run, cost(run)?.ln())));
        let rates: Vec<(Settings, f64)> = rates
            .filter_map(|(run, rate)| Some((settings(&run.spec)?, rate)))
            .collect();
        let keys = Keys::of(&rates);
        let mut by_codes: BTreeMap<Codes, Vec<f64>> = BTreeMap::new();
        for (settings, rate) in &rates {
            let mut reader = keys.reader();
            settings
                .iter()
                .for_each(|(key, text)| reader.see(key, text));
            by_codes.entry(reader.finish()).or_default().push(*rate);
        }
        let group = |rates: &Vec<f64>| Group {
            sum: rates.iter().sum(),
            runs: rates.len(),
        };
        let of_key = |key: usize| by_codes.keys().map(|codes| codes.codes[key]).collect();
        let mut forecast = Self {
            codes: (0..keys.values.len()).map(of_key).collect(),
            keys,
            groups: by_codes.values().map(group).collect(),
            known: None,
            other: None,
        };
        let twins = by_codes.values().filter(|rates| rates.len() > 1);
        let of_twins = twins.flat_map(|rates| {
            let (sum, others) = (rates.iter().sum::<f64>(), (rates.len() - 1) as f64);
            rates
                .iter()
                .map(move |rate| (rate - (sum - rate) / others).powi(2))
        });
        forecast.known = half_width(&of_twins.collect::<Vec<_>>());
        let of_group = |(group, (codes, rates)): (usize, (&Codes, &Vec<f64>))| {
            let predicted = forecast.nearest(codes, Some(group))?.log_rate;
            let squares: f64 = rates.iter().map(|rate| (rate - predicted).powi(2)).sum();
            Some(squares / rates.len() as f64)
        };
        let of_groups: Vec<f64> = by_codes.iter().enumerate().filter_map(of_group).collect();
        forecast.other = half_width(&of_groups);
        forecast
    }

    /// How long `spec` takes from start to end; none while no run has finished.
    pub fn run(&self, spec: &RunSpec) -> Option<Estimate> {
        self.estimate(&self.encode(spec)?, spec.config.examples())
    }

    /// How long `runs` take on `slots` devices, started in their order, those that run already first. The interval is
    /// as wide as if all errors were one; there is none if some run has none.
    pub fn grid(&self, runs: &[Remaining], slots: usize) -> Option<Total> {
        let places: BTreeMap<_, _> = runs.iter().zip(0..).map(|(r, i)| (&r.spec.id, i)).collect();
        let mut known: HashMap<Codes, Estimate> = HashMap::new();
        let mut jobs = Vec::with_capacity(runs.len());
        let (mut seconds, mut low, mut high) = (0.0, Some(0.0), Some(0.0));
        for Remaining { spec, left } in runs {
            let codes = self.encode(spec)?;
            // Of one example, so that runs with other budgets share it.
            let each = match known.get(&codes) {
                Some(each) => *each,
                None => {
                    let each = self.estimate(&codes, 1)?;
                    known.insert(codes, each);
                    each
                }
            };
            let train = &spec.config.train;
            let examples = spec.config.examples() as f64 * left.clamp(0.0, 1.0);
            let devices = train.ranks as f64;
            let add = |sum: Option<f64>, each: Option<f64>| Some(sum? + each? * examples * devices);
            seconds += each.span.seconds * examples * devices;
            low = add(low, each.span.low);
            high = add(high, each.span.high);
            let needs = spec.config.model.prerequisites();
            jobs.push(Job {
                seconds: each.span.seconds * examples,
                slots: train.ranks,
                needs: needs.filter_map(|id| places.get(id).copied()).collect(),
            });
        }
        let device = Span { seconds, low, high };
        let done = makespan(&jobs, slots);
        // All errors are one, so that the whole schedule stretches as the sum does.
        let stretched =
            |bound: Option<f64>| bound.map(|bound| done * bound / seconds.max(f64::MIN_POSITIVE));
        Some(Total {
            device,
            done: Span {
                seconds: done,
                low: stretched(low),
                high: stretched(high),
            },
        })
    }

    fn encode(&self, spec: &RunSpec) -> Option<Codes> {
        let mut reader = self.keys.reader();
        let mut text = String::new();
        leaves(&spec.config, |key, leaf| {
            if matters(key, &leaf) {
                text.clear();
                write!(text, "{leaf}").expect("a string takes all");
                reader.see(key, &text);
            }
        })
        .ok()?;
        Some(reader.finish())
    }

    fn estimate(&self, codes: &Codes, examples: u64) -> Option<Estimate> {
        let nearest = self.nearest(codes, None)?;
        let half = match nearest.differences {
            0 => self.known.or(self.other),
            _ => self.other,
        };
        let seconds = nearest.log_rate.exp() * examples as f64;
        Some(Estimate {
            span: Span {
                seconds,
                low: half.map(|half| seconds * (-half).exp()),
                high: half.map(|half| seconds * half.exp()),
            },
            from: nearest.runs,
            differences: nearest.differences,
        })
    }

    /// The nearest groups but for one; none if there is no other.
    fn nearest(&self, Codes { codes, apart }: &Codes, but: Option<usize>) -> Option<Nearest> {
        let mut differences = vec![0_u16; self.groups.len()];
        for (of_key, code) in self.codes.iter().zip(codes) {
            for (sum, other) in differences.iter_mut().zip(of_key) {
                *sum += u16::from(other != code);
            }
        }
        if let Some(but) = but {
            differences[but] = u16::MAX;
        }
        let least = differences
            .iter()
            .copied()
            .min()
            .filter(|least| *least < u16::MAX)?;
        let (mut sum, mut runs) = (0.0, 0);
        for (group, differences) in self.groups.iter().zip(&differences) {
            if *differences == least {
                sum += group.sum;
                runs += group.runs;
            }
        }
        Some(Nearest {
            differences: usize::from(least) + apart,
            log_rate: sum / runs as f64,
            runs,
        })
    }
}

impl Keys {
    fn of(runs: &[(Settings, f64)]) -> Self {
        let mut values: BTreeMap<&str, HashMap<String, u16>> = BTreeMap::new();
        let mut having: BTreeMap<&str, usize> = BTreeMap::new();
        for (key, text) in runs.iter().flat_map(|(settings, _)| settings) {
            let codes = values.entry(key).or_default();
            let next = (codes.len() + 1).min(usize::from(UNKNOWN) - 1) as u16;
            codes.entry(text.clone()).or_insert(next);
            *having.entry(key).or_default() += 1;
        }
        let mut keys = Self::default();
        for (key, codes) in values {
            let only = codes.keys().next().filter(|_| codes.len() == 1);
            let place = match only {
                Some(text) if having[key] == runs.len() => {
                    keys.common += 1;
                    Place::Common(text.clone())
                }
                _ => {
                    keys.values.push(codes);
                    Place::Varies(keys.values.len() - 1)
                }
            };
            keys.places.insert(key.to_owned(), place);
        }
        let first = runs.first().into_iter().flat_map(|(settings, _)| settings);
        keys.order = first
            .map(|(key, _)| (key.clone(), keys.places[key].clone()))
            .collect();
        keys
    }

    fn reader(&self) -> Reader<'_> {
        Reader {
            keys: self,
            next: 0,
            codes: vec![ABSENT; self.values.len()],
            shared: 0,
            strange: 0,
        }
    }
}

/// One run's settings on their way to codes.
struct Reader<'k> {
    keys: &'k Keys,
    /// The place in the order where the next key is looked for first.
    next: usize,
    codes: Vec<u16>,
    /// Common keys with the common value.
    shared: usize,
    /// Keys that no finished run has.
    strange: usize,
}

impl Reader<'_> {
    fn see(&mut self, key: &str, text: &str) {
        let place = match self.keys.order.get(self.next) {
            Some((expected, place)) if expected == key => {
                self.next += 1;
                Some(place)
            }
            _ => {
                let order = &self.keys.order;
                let at = order.iter().position(|(expected, _)| expected == key);
                self.next = at.map_or(self.next, |at| at + 1);
                self.keys.places.get(key)
            }
        };
        match place {
            Some(Place::Varies(place)) => {
                let code = self.keys.values[*place].get(text);
                self.codes[*place] = code.copied().unwrap_or(UNKNOWN);
            }
            Some(Place::Common(common)) => self.shared += usize::from(common == text),
            None => self.strange += 1,
        }
    }

    fn finish(self) -> Codes {
        Codes {
            codes: self.codes,
            apart: self.keys.common - self.shared + self.strange,
        }
    }
}

/// Half of the 95 % interval of a log rate, from the squares of the errors that others had.
fn half_width(squares: &[f64]) -> Option<f64> {
    if squares.len() < ENOUGH {
        return None;
    }
    let rms = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
    Some(t_quantile(squares.len() as f64 - 1.0)? * rms)
}

/// The settings of a run that its cost may depend on.
fn settings(spec: &RunSpec) -> Option<Settings> {
    let mut found = Settings::new();
    leaves(&spec.config, |key, leaf| {
        if matters(key, &leaf) {
            found.push((key.to_owned(), leaf.to_string()));
        }
    })
    .ok()?;
    Some(found)
}

/// Whether a setting may change what an example costs.
fn matters(key: &str, leaf: &Leaf) -> bool {
    let locks = key.ends_with(".lr_mult") && *leaf == Leaf::Float(0.0);
    let of_optimiser = leaf.is_number() && key.starts_with("optim.") && !locks;
    !(of_optimiser || key == "seed" || key == "train.examples")
}

#[cfg(test)]
mod tests;
