//! All parameters of a model as one flat vector, with a name, a shape and a place for each: what the optimiser
//! updates, ranks add up and a checkpoint holds. Parameters of one optimiser group lie side by side.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor};

use super::Model;
use crate::train::device::vector;

/// Parameters that the optimiser treats alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    pub part: Part,
    /// Matrices decay; gains, biases, embeddings and scalars do not.
    pub decays: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Image,
    Text,
    /// t'.
    LogT,
    /// b.
    Bias,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Path in the model: `image.blocks.0.mlp.up.weight`.
    pub name: String,
    pub shape: Vec<usize>,
    /// Place in the flat vector.
    pub range: Range<usize>,
    pub group: Group,
}

impl Entry {
    /// The last part of the name.
    pub fn leaf(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// The layer that the parameter is part of, by its name: a block of a tower is one (`image.block.0`), what comes
    /// before the blocks another (`image.embed`), what comes after them a third (`image.head`), and a scalar of the
    /// loss is one alone (`log_t`).
    pub fn layer(&self) -> String {
        let mut path = self.name.split('.');
        match (path.next(), path.next(), path.next()) {
            (Some(tower), Some("blocks"), Some(index)) => format!("{tower}.block.{index}"),
            (Some(tower), Some("norm" | "pool" | "projection"), _) => format!("{tower}.head"),
            (Some(tower), Some(_), _) => format!("{tower}.embed"),
            _ => self.name.clone(),
        }
    }
}

/// Which parameter lies where.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    entries: Vec<Entry>,
    length: usize,
}

impl Layout {
    pub fn of(model: &Model) -> Self {
        let mut names = Names::default();
        model.visit(&mut names);
        Self::of_parameters(names.found)
    }

    /// The layout of a model that has parameters of these names and shapes.
    #[cfg(test)]
    pub fn of_shapes<const N: usize>(parameters: [(&str, Vec<usize>); N]) -> Self {
        let named = |(name, shape): (&str, _)| (name.to_owned(), shape);
        Self::of_parameters(parameters.map(named).into())
    }

    fn of_parameters(parameters: Vec<(String, Vec<usize>)>) -> Self {
        let mut found: Vec<(Group, String, Vec<usize>)> = parameters
            .into_iter()
            .map(|(name, shape)| (group_of(&name, &shape), name, shape))
            .collect();
        found.sort();
        let mut length = 0;
        let entries = found
            .into_iter()
            .map(|(group, name, shape)| {
                let start = length;
                length += shape.iter().product::<usize>();
                Entry {
                    name,
                    shape,
                    range: start..length,
                    group,
                }
            })
            .collect();
        Self { entries, length }
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Number of parameters.
    pub fn length(&self) -> usize {
        self.length
    }

    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.name == name)
    }

    /// The stretches of the flat vector that belong to one group each, in order.
    pub fn groups(&self) -> Vec<(Group, Range<usize>)> {
        let mut groups: Vec<(Group, Range<usize>)> = Vec::new();
        for entry in &self.entries {
            match groups.last_mut() {
                Some((group, range)) if *group == entry.group => range.end = entry.range.end,
                _ => groups.push((entry.group, entry.range.clone())),
            }
        }
        groups
    }

    /// The stretches of the flat vector that belong to each [`Entry::layer`].
    pub fn layers(&self) -> BTreeMap<String, Vec<Range<usize>>> {
        let mut layers = BTreeMap::<String, Vec<Range<usize>>>::new();
        for entry in &self.entries {
            let ranges = layers.entry(entry.layer()).or_default();
            ranges.push(entry.range.clone());
        }
        layers
    }

    /// The gradients of `model` as one vector without autodiff, zero where there is none.
    pub fn gradients(&self, model: &Model, gradients: &mut Gradients) -> Tensor<1> {
        let mut collect = Collect {
            path: Path::default(),
            gradients,
            found: Vec::with_capacity(self.entries.len()),
        };
        model.visit(&mut collect);
        let mut found = collect.found;
        found.sort_by_cached_key(|(name, _)| self.entries.iter().position(|e| e.name == *name));
        Tensor::cat(found.into_iter().map(|(_, gradient)| gradient).collect(), 0)
    }

    /// `scalars` at their places in a vector of zeros: the gradients that no tape sees.
    pub fn scalar_gradients(&self, scalars: Scalars, device: &Device) -> Tensor<1> {
        let mut values = vec![0.0; self.length];
        for (name, value) in [("log_t", scalars.log_t), ("bias", scalars.bias)] {
            if let Some(entry) = self.get(name) {
                values[entry.range.start] = value as f32;
            }
        }
        vector(values, device)
    }

    /// `model` with the values of `flat` (on its device, without autodiff), ready for a forward pass that is taped.
    pub fn assign(&self, model: Model, flat: &Tensor<1>) -> Model {
        model.map(&mut Assign {
            path: Path::default(),
            layout: self,
            flat,
        })
    }
}

/// Gradients of the loss's scalars.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scalars {
    pub log_t: f64,
    pub bias: f64,
}

fn group_of(name: &str, shape: &[usize]) -> Group {
    let part = match name {
        "log_t" => Part::LogT,
        "bias" => Part::Bias,
        _ if name.starts_with("image.") => Part::Image,
        _ => Part::Text,
    };
    Group {
        part,
        decays: shape.len() == 2 && name.ends_with(".weight"),
    }
}

#[derive(Default)]
struct Path(Vec<String>);

impl Path {
    /// Which of several kinds a tower is of is no part of its parameters' names.
    fn counts(container: &str) -> bool {
        !container.starts_with("Enum:")
    }

    fn enter(&mut self, name: &str, container: &str) {
        if Self::counts(container) {
            self.0.push(name.to_owned());
        }
    }

    fn exit(&mut self, container: &str) {
        if Self::counts(container) {
            self.0.pop();
        }
    }

    fn name(&self) -> String {
        self.0.join(".")
    }
}

#[derive(Default)]
struct Names {
    path: Path,
    found: Vec<(String, Vec<usize>)>,
}

impl ModuleVisitor for Names {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found
            .push((self.path.name(), param.val().dims().to_vec()));
    }
}

struct Collect<'a> {
    path: Path,
    gradients: &'a mut Gradients,
    found: Vec<(String, Tensor<1>)>,
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let length = value.dims().iter().product::<usize>();
        let gradient = value.grad_remove(self.gradients).map_or_else(
            || Tensor::zeros([length], &value.device().inner()),
            |g| g.reshape([length]),
        );
        self.found.push((self.path.name(), gradient));
    }
}

struct Assign<'a> {
    path: Path,
    layout: &'a Layout,
    flat: &'a Tensor<1>,
}

impl ModuleMapper for Assign<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let entry = self
            .layout
            .get(&self.path.name())
            .expect("a layout knows every parameter of its model");
        let shape: [usize; D] = entry
            .shape
            .clone()
            .try_into()
            .expect("a parameter keeps its rank");
        let value = self.flat.clone().slice(entry.range.clone()).reshape(shape);
        param.map(|old| {
            if old.is_autodiff() {
                value.autodiff().require_grad()
            } else {
                value
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::TrainConfig;
    use crate::train::device::tested;
    use crate::train::loss::{ClassifyConfig, LossConfig};
    use crate::train::model::Inputs;
    use crate::train::model::image::ImagePool;

    fn layout(config: &TrainConfig) -> Layout {
        let supervised = matches!(config.loss, LossConfig::Classify(_));
        let inputs = Inputs {
            image: config.data.image_size(),
            text: (!supervised).then_some(100),
            classes: supervised.then_some(10),
        };
        let (model, loss) = (&config.model, &config.loss);
        Layout::of(&Model::zeros(model, loss, inputs, &tested()))
    }

    #[test]
    fn every_parameter_is_of_one_layer() {
        let mut config = TrainConfig::default();
        (config.model.image.depth, config.model.text.depth) = (2, 1);
        for pool in [ImagePool::Map, ImagePool::Mean, ImagePool::Cls] {
            config.model.image.pool = pool;
            let layout = layout(&config);
            let layers = layout.layers();
            assert_eq!(
                layers.keys().collect::<Vec<_>>(),
                [
                    "bias",
                    "image.block.0",
                    "image.block.1",
                    "image.embed",
                    "image.head",
                    "log_t",
                    "text.block.0",
                    "text.embed",
                    "text.head"
                ]
            );
            let mut places: Vec<usize> = layers.into_values().flatten().flatten().collect();
            places.sort_unstable();
            assert!(places.into_iter().eq(0..layout.length()));
        }
    }

    #[test]
    fn a_layer_is_what_its_name_says() {
        let mut config = TrainConfig::default();
        config.model.image.pool = ImagePool::Cls;
        let names = |config: &TrainConfig, layer: &str| -> Vec<String> {
            let layout = layout(config);
            let entries = layout.entries().iter();
            entries
                .filter(|entry| entry.layer() == layer)
                .map(|entry| entry.name.clone())
                .collect()
        };
        assert_eq!(
            names(&config, "image.embed"),
            [
                "image.class_token",
                "image.patches.bias",
                "image.position",
                "image.patches.weight"
            ]
        );
        assert_eq!(
            names(&config, "text.embed"),
            ["text.position", "text.tokens"]
        );
        config.loss = LossConfig::Classify(ClassifyConfig::default());
        assert_eq!(
            names(&config, "image.head"),
            [
                "image.norm.bias",
                "image.norm.gain",
                "image.projection.bias",
                "image.projection.weight"
            ]
        );
        assert!(names(&config, "text.head").is_empty() && names(&config, "log_t").is_empty());
    }
}
