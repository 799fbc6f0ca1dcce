//! `[seeds]`: how often each cell is repeated, and with which seeds.

use std::collections::BTreeSet;

use super::{Node, Result, Sections};
use crate::spec::grid::LIMIT;

impl Sections<'_> {
    pub(super) fn seeds(&self, node: &Node) -> Result<Vec<u64>> {
        let expected = "either `count = N` (seeds 0 to N-1) or `values = [..]`";
        match self.table("seeds", node, &["count", "values"])? {
            [(name, _, count)] if name == "count" => match self.whole("seeds.count", count)? {
                n if n == 0 || n > LIMIT as u64 => Err(self.error(
                    count.at,
                    "seeds.count",
                    format!("{n} seeds"),
                    format!("1 to {LIMIT}"),
                )),
                n => Ok((0..n).collect()),
            },
            [(_, _, values)] => {
                let nodes = self.list("seeds.values", values)?;
                let (mut seeds, mut seen) = (Vec::new(), BTreeSet::new());
                for node in nodes {
                    let seed = self.whole("seeds.values", node)?;
                    if !seen.insert(seed) {
                        return Err(self.error(
                            node.at,
                            "seeds.values",
                            format!("{seed} is there twice"),
                            "each seed once",
                        ));
                    }
                    seeds.push(seed);
                }
                if seeds.is_empty() {
                    Err(self.error(values.at, "seeds.values", "has no seeds", "at least one"))
                } else {
                    Ok(seeds)
                }
            }
            _ => Err(self.error(node.at, "seeds", "says neither or both", expected)),
        }
    }
}
