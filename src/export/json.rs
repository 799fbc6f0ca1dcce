//! The tables as they are, for a script.

use crate::analysis::Table;

pub fn write(tables: &[Table]) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(tables)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_mean_is_null() {
        let tables: serde_json::Value =
            serde_json::from_str(&write(&[super::super::example()]).unwrap()).unwrap();
        assert_eq!(tables[0]["cells"][0][0]["mean"], 0.52341);
        assert!(tables[0]["cells"][2][0]["mean"].is_null());
        assert_eq!(tables[0]["cells"][1][0]["mark"], "tied");
        assert_eq!(tables[0]["cells"][1][0]["against_best"]["test"], "paired");
        assert_eq!(tables[0]["cells"][0][1]["samples"][0]["value"], 0.5);
        assert_eq!(tables[0]["given"][0][1], "0.001");
    }
}
