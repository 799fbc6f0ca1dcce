//! The answers as they are, for a script: a list of objects, each with the version that made it.

use serde::Serialize;

use super::VERSION;

/// An answer with what it does not say of itself.
#[derive(Serialize)]
struct Told<'a, A> {
    #[serde(flatten)]
    answer: &'a A,
    siglab: &'static str,
}

pub fn write<A: Serialize>(answers: &[A]) -> anyhow::Result<Vec<u8>> {
    let told = answers.iter().map(|answer| Told {
        answer,
        siglab: VERSION,
    });
    let mut bytes = serde_json::to_vec_pretty(&told.collect::<Vec<_>>())?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Sheet;

    #[test]
    fn a_missing_mean_is_null() {
        let tables: serde_json::Value =
            serde_json::from_slice(&write(&[Sheet::Table(super::super::example())]).unwrap())
                .unwrap();
        assert_eq!(tables[0]["kind"], "table");
        assert_eq!(tables[0]["cells"][0][0]["mean"], 0.52341);
        assert!(tables[0]["cells"][2][0]["mean"].is_null());
        assert_eq!(tables[0]["cells"][1][0]["mark"], "tied");
        assert_eq!(tables[0]["cells"][1][0]["comparison"]["test"], "paired");
        assert_eq!(tables[0]["cells"][0][1]["samples"][0]["value"], 0.5);
        assert_eq!(tables[0]["given"][0][1], "0.001");
        assert_eq!(tables[0]["siglab"], "0.1.0");
        assert_eq!(tables[0]["interval"], "t");
    }
}
