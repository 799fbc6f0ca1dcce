//! What an experiment file says, without how, and what an edit should make of that: worked out on plain values.

use serde_json::Value;

use crate::spec::edit::layout::Layout;
use crate::spec::edit::{Edit, Seeds};
use crate::spec::path::{self, Flat};
use crate::spec::{Axis, Design, Experiment, Setting};

#[derive(Clone, Debug, PartialEq)]
pub struct Meaning {
    question: String,
    base: Flat,
    /// Each a list of columns.
    plain: Vec<(String, Vec<Value>)>,
    zips: Vec<Vec<(String, Vec<Value>)>>,
    excludes: Vec<Flat>,
    seeds: Vec<u64>,
    design: Design,
    reports: Vec<(Option<String>, Option<String>)>,
}

impl Meaning {
    pub fn of(text: &str) -> Result<Self, String> {
        let experiment = Experiment::parse(std::path::Path::new("x.toml"), text, &[]);
        let experiment = experiment.map_err(|e| e.to_string())?;
        let columns = |axis: &Axis| {
            let column = |(i, key): (usize, &String)| {
                let values = axis.points.iter().map(|point| point.values[i].clone());
                (key.clone(), values.collect())
            };
            axis.keys.iter().enumerate().map(column).collect::<Vec<_>>()
        };
        let flat = |settings: &[Setting]| {
            let mut flat = Flat::new();
            for setting in settings {
                path::flatten_under(&setting.key, &setting.value, &mut flat);
            }
            flat
        };
        let (zips, plain): (Vec<_>, Vec<_>) = experiment
            .axes
            .iter()
            .partition(|axis| axis.section == "zip");
        let key = |axis: Option<usize>| axis.map(|axis| experiment.axes[axis].keys[0].clone());
        Ok(Self {
            question: experiment.question.clone(),
            base: flat(&experiment.base),
            plain: plain.into_iter().flat_map(columns).collect(),
            zips: zips.into_iter().map(columns).collect(),
            excludes: experiment.excludes.iter().map(|e| flat(&e.when)).collect(),
            seeds: experiment.seeds.clone(),
            design: experiment.design.clone(),
            reports: experiment
                .reports
                .iter()
                .map(|report| (key(report.rows), key(report.columns)))
                .collect(),
        }
        .spelled()
        .in_written_order(text))
    }

    /// With the keys of each zip as their lines follow one another, which becomes their order as axes.
    fn in_written_order(mut self, text: &str) -> Self {
        let elements = Layout::read(text).map_or(Vec::new(), |layout| layout.elements("zip"));
        for (zip, leaves) in self.zips.iter_mut().zip(elements) {
            let line = |key: &str| {
                let leaf = leaves.iter().find(|leaf| leaf.key == key);
                leaf.map(|leaf| leaf.value.start)
            };
            zip.sort_by_key(|(key, _)| line(key));
        }
        self
    }

    /// With the keys of axes for their letters in generators, which follow the order of the axes with two values.
    fn spelled(mut self) -> Self {
        let plain = self.plain.iter().map(Some);
        let columns = plain.chain(self.zips.iter().map(|zip| zip.first()));
        let two = columns.flatten().filter(|(_, values)| values.len() == 2);
        let two: Vec<String> = two.map(|(key, _)| key.clone()).collect();
        self.rename_generators(|name| match name.as_bytes() {
            [letter @ b'a'..=b'e'] => two.get(usize::from(letter - b'a')).cloned(),
            _ => None,
        });
        self
    }

    fn rename_generators(&mut self, to: impl Fn(&str) -> Option<String>) {
        let Design::Fractional { generators, .. } = &mut self.design else {
            return;
        };
        for word in generators {
            let names = word.split(' ').map(|part| {
                let name = part.trim_start_matches('-');
                let sign = &part[..part.len() - name.len()];
                sign.to_owned() + &to(name).unwrap_or_else(|| name.to_owned())
            });
            *word = names.collect::<Vec<_>>().join(" ");
        }
    }

    pub fn zip_of(&self, key: &str) -> Option<usize> {
        self.zips
            .iter()
            .position(|zip| zip.iter().any(|(k, _)| k == key))
    }

    fn has(&self, key: &str) -> bool {
        self.plain.iter().any(|(k, _)| k == key) || self.zip_of(key).is_some()
    }

    pub fn excluded(&self, key: &str) -> bool {
        let named = |flat: &Flat| flat.keys().any(|k| k == key || path::is_inside(k, key));
        self.excludes.iter().any(named)
    }

    /// Whether a generator names the axis.
    fn generates(&self, key: &str) -> bool {
        let Design::Fractional { generators, .. } = &self.design else {
            return false;
        };
        let mut names = generators.iter().flat_map(|word| word.split(' '));
        names.any(|name| name.trim_start_matches('-') == key)
    }

    /// Without the order of the keys of a zip, and without reports, which are looked at elsewhere.
    pub fn core(mut self) -> Self {
        self.zips
            .iter_mut()
            .for_each(|zip| zip.sort_by(|a, b| a.0.cmp(&b.0)));
        let zips = self.zips.clone();
        let first = |key: &str| {
            let mut zips = zips.iter();
            let zip = zips.find(|zip| zip.iter().any(|(k, _)| k == key))?;
            Some(zip[0].0.clone())
        };
        self.rename_generators(first);
        self.reports.clear();
        self
    }

    /// The meaning after an edit, or None where it must be refused.
    pub fn after(mut self, edit: &Edit) -> Option<Self> {
        match edit {
            Edit::AddAxis { key, values } => {
                if self.has(key) {
                    return None;
                }
                self.plain.push((key.clone(), values.clone()));
            }
            Edit::SetAxis { key, values } => {
                let zip = self.zip_of(key);
                let zipped = zip.is_some_and(|zip| self.zips[zip].len() > 1);
                let mut all = self.plain.iter_mut().chain(self.zips.iter_mut().flatten());
                let column = all.find(|(k, _)| k == key)?;
                if zipped && column.1.len() != values.len() {
                    return None;
                }
                column.1 = values.clone();
            }
            Edit::MoveAxis { key, later } => {
                let to = |from: usize, len: usize| match later {
                    true => Some(from + 1).filter(|to| *to < len),
                    false => from.checked_sub(1),
                };
                if let Some(zip) = self.zip_of(key) {
                    let to = to(zip, self.zips.len())?;
                    self.zips.swap(zip, to);
                } else {
                    let from = self.plain.iter().position(|(k, _)| k == key)?;
                    let to = to(from, self.plain.len())?;
                    self.plain.swap(from, to);
                }
            }
            Edit::RenameAxis { key, to } => {
                if !self.has(key) || self.has(to) && key != to {
                    return None;
                }
                for (k, _) in self.plain.iter_mut().chain(self.zips.iter_mut().flatten()) {
                    if k == key {
                        *k = to.clone();
                    }
                }
                self.rename_generators(|name| (name == key).then(|| to.clone()));
                if let Design::OneFactor { around } = &mut self.design {
                    for (k, _) in around {
                        if k == key {
                            *k = to.clone();
                        }
                    }
                }
                for flat in &mut self.excludes {
                    let old = std::mem::take(flat);
                    flat.extend(
                        old.into_iter()
                            .map(|(k, v)| match k.strip_prefix(key.as_str()) {
                                Some(rest) if rest.is_empty() || rest.starts_with('.') => {
                                    (format!("{to}{rest}"), v)
                                }
                                _ => (k, v),
                            }),
                    );
                }
            }
            Edit::RemoveAxis { key } => {
                if !self.has(key) || self.excluded(key) || self.generates(key) {
                    return None;
                }
                if let Design::OneFactor { around } = &mut self.design {
                    around.retain(|(k, _)| k != key);
                }
                self.plain.retain(|(k, _)| k != key);
                if let Some(zip) = self.zip_of(key) {
                    let columns = &mut self.zips[zip];
                    columns.retain(|(k, _)| k != key);
                    let rows = columns.first().map_or(0, |(_, values)| values.len());
                    let row = |i: usize| columns.iter().map(|c| c.1[i].clone()).collect::<Vec<_>>();
                    let kept: Vec<usize> = (0..rows)
                        .filter(|i| (0..*i).all(|j| row(j) != row(*i)))
                        .collect();
                    for (_, values) in columns.iter_mut() {
                        *values = kept.iter().map(|i| values[*i].clone()).collect();
                    }
                    if columns.is_empty() {
                        self.zips.remove(zip);
                    }
                }
            }
            Edit::Zip { keys } => {
                if !keys.iter().all(|key| self.has(key)) {
                    return None;
                }
                let mut hosts: Vec<usize> = keys.iter().filter_map(|k| self.zip_of(k)).collect();
                hosts.sort_unstable();
                hosts.dedup();
                let mut columns: Vec<_> = hosts
                    .iter()
                    .flat_map(|zip| self.zips[*zip].clone())
                    .collect();
                let plain = |(k, _): &&(String, Vec<Value>)| keys.contains(k);
                let lone: Vec<_> = self.plain.iter().filter(plain).cloned().collect();
                let length = |c: &(String, Vec<Value>)| c.1.len();
                if hosts.len() + lone.len() < 2 {
                    return None;
                }
                columns.extend(lone);
                if columns.iter().any(|c| length(c) != length(&columns[0])) {
                    return None;
                }
                self.plain.retain(|(k, _)| !keys.contains(k));
                for zip in hosts.iter().skip(1).rev() {
                    self.zips.remove(*zip);
                }
                match hosts.first() {
                    Some(host) => self.zips[*host] = columns,
                    None => self.zips.push(columns),
                }
            }
            Edit::Unzip { key } => {
                let zip = self.zip_of(key)?;
                for (key, values) in self.zips.remove(zip) {
                    let mut distinct: Vec<Value> = Vec::new();
                    for value in values {
                        if !distinct.contains(&value) {
                            distinct.push(value);
                        }
                    }
                    self.plain.push((key, distinct));
                }
            }
            Edit::SetBase { key, value } => {
                let inside = |outer: &str, inner: &str| path::is_inside(inner, outer);
                if self.base.keys().any(|k| inside(k, key)) {
                    return None;
                }
                self.base.retain(|k, _| k != key && !inside(key, k));
                path::flatten_under(key, value, &mut self.base);
            }
            Edit::UnsetBase { key } => {
                let before = self.base.len();
                self.base
                    .retain(|k, _| k != key && !path::is_inside(k, key));
                if self.base.len() == before {
                    return None;
                }
            }
            Edit::AddExclude { when } => {
                let mut flat = Flat::new();
                for (key, value) in when {
                    path::flatten_under(key, value, &mut flat);
                }
                let twice = (1..when.len()).any(|i| when[..i].iter().any(|w| w.0 == when[i].0));
                if twice || self.excludes.contains(&flat) {
                    return None;
                }
                self.excludes.push(flat);
            }
            Edit::RemoveExclude { when } => {
                let mut flat = Flat::new();
                for (key, value) in when {
                    path::flatten_under(key, value, &mut flat);
                }
                let index = self.excludes.iter().position(|other| *other == flat)?;
                self.excludes.remove(index);
            }
            Edit::Seeds(Seeds::Count(n)) => self.seeds = (0..*n).collect(),
            Edit::Seeds(Seeds::Values(values)) => self.seeds = values.clone(),
            Edit::Design(design) => {
                self.design = design.clone();
                self = self.spelled();
            }
            Edit::Question(question) => self.question = question.clone(),
            Edit::SetZip { .. } | Edit::AddReport { .. } | Edit::RemoveReport { .. } => {}
        }
        Some(self)
    }
}
