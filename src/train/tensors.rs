//! The header of a safetensors file. What it claims (no overflow, no gap, no overlap) is checked by the crate; here it is
//! read with the memory that its length warrants, where the crate's own reading takes twenty-five times as much.

use std::fmt;

use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A checkpoint has a few thousand.
const MOST_TENSORS: usize = 100_000;
/// More than any tensor has.
const MOST_AXES: usize = 16;
const LONGEST_NAME: usize = 1_000;
/// What is said of the file itself; nothing of ours depends on it.
const ABOUT: &str = "__metadata__";

/// The tensors that `text`, the header without its length, tells of.
///
/// # Errors
/// In words: what is not of the format, contradicts itself, or is more than a checkpoint has.
pub fn parse(text: &[u8]) -> Result<Metadata, String> {
    let mut header = serde_json::from_slice::<Header>(text).map_err(|e| e.to_string())?;
    header.0.sort_by_key(|(_, info)| info.data_offsets);
    let count = header.0.len();
    let metadata = Metadata::new(None, header.0).map_err(|e| e.to_string())?;
    if metadata.tensors().len() < count {
        return Err("a tensor is there twice".into());
    }
    Ok(metadata)
}

struct Header(Vec<(String, TensorInfo)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == ABOUT {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if name.len() > LONGEST_NAME {
                let problem = format!("the name of a tensor is {} bytes long", name.len());
                return Err(A::Error::custom(problem));
            }
            if entries.len() == MOST_TENSORS {
                return Err(A::Error::custom(format!(
                    "more than {MOST_TENSORS} tensors"
                )));
            }
            let info: Info = map.next_value()?;
            let info = TensorInfo {
                dtype: info.dtype,
                shape: info.shape.0,
                data_offsets: info.data_offsets,
            };
            entries.push((name, info));
        }
        Ok(Header(entries))
    }
}

#[derive(serde::Deserialize)]
struct Info {
    dtype: Dtype,
    shape: Shape,
    data_offsets: (usize, usize),
}

struct Shape(Vec<usize>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Axes)
    }
}

struct Axes;

impl<'de> Visitor<'de> for Axes {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of lengths")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        let mut shape = Vec::new();
        while let Some(length) = list.next_element()? {
            if shape.len() == MOST_AXES {
                return Err(A::Error::custom(format!("more than {MOST_AXES} axes")));
            }
            shape.push(length);
        }
        Ok(Shape(shape))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn entry(name: &str, range: [usize; 2]) -> String {
        let length = (range[1] - range[0]) / 4;
        format!(r#""{name}":{{"dtype":"F32","shape":[{length}],"data_offsets":{range:?}}}"#)
    }

    #[test]
    fn what_the_crate_writes_is_read_in_any_order() {
        let about = r#""__metadata__":{"format":"pt","x":"y"}"#;
        let text = [about, &entry("b", [8, 12]), &entry("a", [0, 8])].join(",");
        let text = format!("{{{text}}}");
        let ours = parse(text.as_bytes()).unwrap();
        let theirs: Metadata = serde_json::from_str(&text).unwrap();
        let sorted = |metadata: &Metadata| {
            let tensors: HashMap<_, _> = metadata.tensors();
            let all = tensors.into_iter();
            let mut all: Vec<String> = all.map(|(name, info)| format!("{name} {info:?}")).collect();
            all.sort();
            all
        };
        assert_eq!(sorted(&ours), sorted(&theirs));
        assert_eq!(ours.data_len(), 12);
    }

    #[test]
    fn what_no_checkpoint_has_is_refused() {
        let axes = vec!["1"; MOST_AXES + 1].join(",");
        let deep = format!(r#"{{"a":{{"dtype":"F32","shape":[{axes}],"data_offsets":[0,4]}}}}"#);
        let twice = format!("{{{},{}}}", entry("a", [0, 4]), entry("a", [4, 8]));
        let many: Vec<String> = (0..=MOST_TENSORS)
            .map(|n| entry(&n.to_string(), [4 * n, 4 * n + 4]))
            .collect();
        let many = format!("{{{}}}", many.join(","));
        for (text, said) in [
            (deep, "axes"),
            (twice, "twice"),
            (many, "tensors"),
            ("[]".into(), "a table of tensors"),
        ] {
            let problem = parse(text.as_bytes()).unwrap_err();
            assert!(problem.contains(said), "{problem}");
        }
    }
}
