//! What a parameter of ours is called in a file, and how it lies there. A format is a table of [`Row`]s; reading and
//! writing both go by it.

use super::archive::Archive;

/// How the parameters of a module, or one parameter, lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `weight` `[outputs, inputs]` and `bias` of a linear map.
    Linear,
    /// The n-th of so many linear maps whose outputs lie one after another in one.
    Fused(usize, usize),
    /// `weight` `[width, channels, height, width]` and `bias` of the convolution that maps patches.
    Conv,
    /// `weight` and `bias` of a layer norm.
    Norm,
    /// One parameter as it is, of so many axes.
    Flat(usize),
    /// `kernel` `[inputs, …, outputs]` and `bias`, heads as axes of their own or not: ours as it lies (flax).
    Kernel,
    /// `scale` and `bias` of a layer norm (flax).
    Scale,
}

/// Our module or parameter, what it is called in the file, and its form. `#` is the number of a block and `@` what all
/// names of the tower begin with. What has several modules ends in its separator: `fc1.`, `in_proj_`.
pub type Row = (&'static str, &'static str, Form);

/// The names of one tower in one file.
#[derive(Clone, Debug)]
pub struct Names {
    pub rows: &'static [Row],
    /// For `@`.
    pub root: &'static str,
    /// What the names of the tower begin with, apart from `root`: what of it is not used is told. When there is neither, all
    /// names are the tower's.
    pub domains: &'static [&'static str],
    /// What they do not begin with although they seem to.
    pub foreign: &'static [&'static str],
    /// All blocks lie in one tensor each, along its first axis (flax's `scan`).
    pub stacked: bool,
}

/// Where a parameter of ours is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub name: String,
    pub order: Order,
    /// The n-th of so many equal parts of the first axis.
    pub part: Option<(usize, usize)>,
    /// The n-th along the first axis, which is one of blocks.
    pub block: Option<usize>,
}

/// How the axes in the file are to ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The same numbers in the same order; in the file of so many axes, if it is known.
    Same(Option<usize>),
    /// `[outputs, inputs]` to `[inputs, outputs]`.
    Swapped,
    /// `[width, channels, height, width]` to `[height × width × channels, width]`.
    Conv,
}

/// Buffers of other programs that are no parameters.
const BUFFERS: [&str; 3] = ["position_ids", "attn_mask", "num_batches_tracked"];

impl Names {
    /// All places where the parameter `ours` (`image.blocks.3.mlp.up.weight`) may be.
    pub fn places(&self, ours: &str) -> Vec<Place> {
        let (module, leaf) = ours.rsplit_once('.').unwrap_or(("", ours));
        let (general, block) = without_number(module);
        let (general_whole, _) = without_number(ours);
        let rows = self.rows.iter().filter_map(|(own, theirs, form)| {
            let whole = *own == general_whole;
            if !whole && *own != general {
                return None;
            }
            let (suffix, order, part) = match (form, leaf) {
                (Form::Flat(axes), _) if whole => ("", Order::Same(Some(*axes)), None),
                (Form::Linear, "weight") => ("weight", Order::Swapped, None),
                (Form::Fused(n, of), "weight") => ("weight", Order::Swapped, Some((*n, *of))),
                (Form::Fused(n, of), "bias") => ("bias", Order::Same(Some(1)), Some((*n, *of))),
                (Form::Conv, "weight") => ("weight", Order::Conv, None),
                (Form::Norm, "gain") => ("weight", Order::Same(Some(1)), None),
                (Form::Linear | Form::Conv | Form::Norm, "bias") => {
                    ("bias", Order::Same(Some(1)), None)
                }
                (Form::Kernel, "weight") => ("kernel", Order::Same(None), None),
                (Form::Scale, "gain") => ("scale", Order::Same(None), None),
                (Form::Kernel | Form::Scale, "bias") => ("bias", Order::Same(None), None),
                _ => return None,
            };
            let number = block.map_or_else(String::new, |n| n.to_string());
            let theirs = match self.stacked {
                true => theirs.replace("_#", ""),
                false => theirs.replace('#', &number),
            };
            let name = theirs.replace('@', self.root);
            Some(Place {
                name: name + suffix,
                order,
                part,
                block: block.filter(|_| self.stacked),
            })
        });
        rows.collect()
    }

    /// The place of `ours` that is in `archive`.
    pub fn find(&self, ours: &str, archive: &Archive) -> Option<Place> {
        let mut places = self.places(ours).into_iter();
        places.find(|place| archive.has(&place.name))
    }

    /// The shape of `ours` in our order of axes, if it is in `archive` and of the axes that it should have.
    pub fn shape(&self, ours: &str, archive: &Archive) -> Option<Vec<usize>> {
        let place = self.find(ours, archive)?;
        place.shape(archive.shape(&place.name)?)
    }

    /// Whether the tensor `name` of a file is a parameter of this tower.
    pub fn covers(&self, name: &str) -> bool {
        let begins = |list: &[&str]| list.iter().any(|with| name.starts_with(with));
        let alone = self.root.is_empty() && self.domains.is_empty();
        let rooted = !self.root.is_empty() && name.starts_with(self.root);
        let buffer = BUFFERS.iter().any(|buffer| name.ends_with(buffer));
        (alone || rooted || begins(self.domains)) && !buffer && !begins(self.foreign)
    }
}

impl Place {
    /// Shape in our order of axes of a tensor that has shape `theirs`; none if it cannot be this parameter. Where ours
    /// has fewer axes, those of the file are folded: the inputs of a kernel, its heads.
    pub fn shape(&self, theirs: &[usize]) -> Option<Vec<usize>> {
        let mut theirs = theirs.to_vec();
        if self.block.is_some() {
            theirs.get(self.block?)?;
            theirs.remove(0);
        }
        if let Some((_, of)) = self.part {
            let first = theirs.first_mut()?;
            if !first.is_multiple_of(of) {
                return None;
            }
            *first /= of;
        }
        match (self.order, theirs.as_slice()) {
            (Order::Same(_), _) => Some(theirs),
            (Order::Swapped, [outputs, inputs]) => Some(vec![*inputs, *outputs]),
            (Order::Conv, [width, channels, height, across]) => {
                Some(vec![count(&[*height, *across, *channels]), *width])
            }
            _ => None,
        }
    }
}

/// Numbers in a tensor with these axes; the most there is when there is no such tensor.
pub fn count(axes: &[usize]) -> usize {
    axes.iter()
        .fold(1, |count, axis| count.saturating_mul(*axis))
}

/// `path` with the number of its block as `#`, and the number.
fn without_number(path: &str) -> (String, Option<usize>) {
    let mut number = None;
    let segments = path.split('.').map(|segment| match segment.parse() {
        Ok(n) if number.is_none() => {
            number = Some(n);
            "#"
        }
        _ => segment,
    });
    let general = segments.collect::<Vec<_>>().join(".");
    (general, number)
}
