//! The lines of `metrics.jsonl`: [`Row`] as a worker writes it, and [`RowReader`], which reads the same line without
//! taking memory for it. A run of a million points is read in one go, so the reading has to be cheap.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// One line of `metrics.jsonl`, flat on disk so that polars, jq and pandas read it as it is. Values are finite;
/// what is not finite is left out here and told by an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub attempt: u32,
    /// Updates done when the row was taken: the first update logs step 1.
    pub step: u64,
    /// Image-text pairs seen so far.
    pub examples: u64,
    /// Seconds of training in this attempt, by a monotonic clock.
    pub seconds: f64,
    #[serde(flatten)]
    pub values: BTreeMap<String, f64>,
}

/// The newest [`Row`] that was read, in memory that the next one takes over.
#[derive(Debug, Default)]
pub struct RowReader {
    pub attempt: u32,
    pub step: u64,
    pub examples: u64,
    pub seconds: f64,
    /// What the last rows called their values, by place: rows name them in one order, so these seldom change.
    names: Vec<String>,
    /// In the order of the line.
    values: Vec<f64>,
}

impl RowReader {
    /// Take the place of the row before. After an error the content is of no row.
    pub fn read(&mut self, line: &str) -> serde_json::Result<()> {
        let mut json = serde_json::Deserializer::from_str(line);
        json.deserialize_map(Fields(self))?;
        json.end()
    }

    /// What the row measured, in the order of the line.
    pub fn values(&self) -> impl Iterator<Item = (&str, f64)> {
        let names = self.names.iter().map(String::as_str);
        names.zip(self.values.iter().copied())
    }
}

/// One key of a row.
enum Field {
    Attempt,
    Step,
    Examples,
    Seconds,
    Value,
}

/// Reads a key and, when it is a value's, writes it down as the name at `place`.
struct Key<'r> {
    names: &'r mut Vec<String>,
    place: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a value")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Field, E> {
        Ok(match key {
            "attempt" => Field::Attempt,
            "step" => Field::Step,
            "examples" => Field::Examples,
            "seconds" => Field::Seconds,
            _ => {
                match self.names.get_mut(self.place) {
                    Some(name) if name == key => {}
                    Some(name) => key.clone_into(name),
                    None => self.names.push(key.to_owned()),
                }
                Field::Value
            }
        })
    }
}

struct Fields<'r>(&'r mut RowReader);

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row of metrics")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        fn once<T, E: Error>(field: &mut Option<T>, name: &'static str, value: T) -> Result<(), E> {
            match field.replace(value) {
                None => Ok(()),
                Some(_) => Err(E::duplicate_field(name)),
            }
        }
        let row = self.0;
        row.values.clear();
        let (mut attempt, mut step, mut examples, mut seconds) = (None, None, None, None);
        loop {
            let key = Key {
                place: row.values.len(),
                names: &mut row.names,
            };
            match map.next_key_seed(key)? {
                Some(Field::Attempt) => once(&mut attempt, "attempt", map.next_value()?)?,
                Some(Field::Step) => once(&mut step, "step", map.next_value()?)?,
                Some(Field::Examples) => once(&mut examples, "examples", map.next_value()?)?,
                Some(Field::Seconds) => once(&mut seconds, "seconds", map.next_value()?)?,
                Some(Field::Value) => row.values.push(map.next_value()?),
                None => break,
            }
        }
        row.attempt = attempt.ok_or_else(|| A::Error::missing_field("attempt"))?;
        row.step = step.ok_or_else(|| A::Error::missing_field("step"))?;
        row.examples = examples.ok_or_else(|| A::Error::missing_field("examples"))?;
        row.seconds = seconds.ok_or_else(|| A::Error::missing_field("seconds"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_row_is_flat_json() {
        let row = Row {
            attempt: 1,
            step: 2,
            examples: 128,
            seconds: 0.5,
            values: BTreeMap::from([("loss".into(), 3.25)]),
        };
        let text = serde_json::to_string(&row).unwrap();
        assert_eq!(
            text,
            r#"{"attempt":1,"step":2,"examples":128,"seconds":0.5,"loss":3.25}"#
        );
        assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), row);
    }

    /// The row as serde's derive gives it, which the reader has to agree with.
    fn read(reader: &mut RowReader, line: &str) -> Option<Row> {
        reader.read(line).ok()?;
        Some(Row {
            attempt: reader.attempt,
            step: reader.step,
            examples: reader.examples,
            seconds: reader.seconds,
            values: reader.values().map(|(k, v)| (k.to_owned(), v)).collect(),
        })
    }

    /// A line, well formed or not, of fields that come in any order, twice or not at all.
    fn line() -> impl Strategy<Value = String> {
        let key = prop::sample::select(vec![
            "attempt",
            "step",
            "examples",
            "seconds",
            "loss",
            "lr",
            "a/b",
            "\\u00e9\\n",
        ]);
        let value = prop_oneof![
            8 => any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(|x| format!("{x:?}")),
            8 => (0..5_000_000_000u64).prop_map(|n| n.to_string()),
            1 => prop::sample::select(vec!["null", "-3", "\"1\"", "[1]", "{}", "1e999", "true", ""]).prop_map(str::to_owned),
        ];
        let more = prop::collection::vec((key, value), 0..6);
        let end = prop::sample::select(vec!["}", "}", "}", "} ", "", "}x"]);
        (any::<[bool; 4]>(), more, end).prop_map(|(lacks, more, end)| {
            let always = ["attempt", "step", "examples", "seconds"]
                .into_iter()
                .zip(lacks);
            let always = always
                .filter(|(_, lacks)| !lacks)
                .map(|(key, _)| format!("\"{key}\":1"));
            let more = more.iter().map(|(key, value)| format!("\"{key}\":{value}"));
            let fields: Vec<String> = always.chain(more).collect();
            format!("{{{}{end}", fields.join(","))
        })
    }

    proptest! {
        #[test]
        fn the_reader_agrees_with_serde_on_every_line(lines in prop::collection::vec(line(), 1..8)) {
            let mut reader = RowReader::default();
            for line in lines {
                prop_assert_eq!(read(&mut reader, &line), serde_json::from_str::<Row>(&line).ok(), "{}", line);
            }
        }
    }
}
