//! `[design]`: which cells of the full product there are.

use super::{Node, Place, Result, Sections, Tree};
use crate::spec::design::{Design, DesignProblem};
use crate::spec::experiment::Experiment;
use crate::spec::grid::LIMIT;

/// The kinds of designs, and the keys that each has.
const KINDS: [(&str, &[&str]); 5] = [
    ("full", &[]),
    ("one-factor", &["around"]),
    ("fractional", &["fraction", "generators"]),
    ("random", &["count", "seed"]),
    ("latin-hypercube", &["count", "seed"]),
];

impl Sections<'_> {
    /// The design, checked against the axes of `experiment`, which must be there already.
    pub(super) fn design(&self, node: &Node, experiment: &Experiment) -> Result<Design> {
        let entries = self.table("design", node, &[])?;
        let entry = |key: &str| entries.iter().find(|(name, ..)| name == key);
        let kinds: Vec<String> = KINDS
            .iter()
            .map(|(kind, _)| format!("\"{kind}\""))
            .collect();
        let one_of = format!("one of {}", kinds.join(", "));
        let Some((_, _, kind)) = entry("kind") else {
            return Err(self.error(node.at, "design.kind", "is missing", one_of));
        };
        let word = self.string("design.kind", kind)?;
        let Some((kind, keys)) = KINDS.iter().find(|(known, _)| *known == word) else {
            let problem = format!("`{word}` is no design");
            return Err(self.error(kind.at, "design.kind", problem, one_of));
        };
        if let Some((name, at, _)) = entries
            .iter()
            .find(|(name, ..)| name != "kind" && !keys.contains(&name.as_str()))
        {
            let expected = match keys {
                [] => "no other key".to_owned(),
                keys => format!("one of {}", keys.join(", ")),
            };
            let problem = format!("is not part of a {kind} design");
            return Err(self.error(*at, &format!("design.{name}"), problem, expected));
        }
        let number = |key: &str| match entry(key) {
            Some((_, _, node)) => Ok(Some(self.whole(&format!("design.{key}"), node)?)),
            None => Ok(None),
        };
        let design = match *kind {
            "one-factor" => Design::OneFactor {
                around: match entry("around") {
                    Some((_, at, node)) => {
                        self.met_by("design", "around", node, *at, experiment)?
                    }
                    None => Vec::new(),
                },
            },
            "fractional" => self.fractional(node.at, number("fraction")?, entry("generators"))?,
            "random" | "latin-hypercube" => {
                let count = match number("count")? {
                    Some(count) if count <= LIMIT as u64 => count as usize,
                    said => {
                        let at = entry("count").map_or(node.at, |(_, _, count)| count.at);
                        let problem = said.map_or("is missing".into(), |n| format!("{n} cells"));
                        return Err(self.error(
                            at,
                            "design.count",
                            problem,
                            format!("a number of cells, at most {LIMIT}"),
                        ));
                    }
                };
                let seed = number("seed")?.unwrap_or(0);
                if *kind == "random" {
                    Design::Random { count, seed }
                } else {
                    Design::LatinHypercube { count, seed }
                }
            }
            _ => Design::Full,
        };
        design.check(experiment).map_err(|problem| {
            let at = entry(problem.key).map_or(node.at, |(_, _, said)| match &said.tree {
                Tree::List(items) => problem
                    .item
                    .and_then(|item| items.get(item))
                    .map_or(said.at, |item| item.at),
                _ => said.at,
            });
            self.design_problem(at, problem)
        })?;
        Ok(design)
    }

    fn fractional(
        &self,
        at: Place,
        fraction: Option<u64>,
        words: Option<&super::Entry>,
    ) -> Result<Design> {
        let mut generators = Vec::new();
        if let Some((_, _, node)) = words {
            for word in self.list("design.generators", node)? {
                generators.push(self.string("design.generators", word)?);
            }
        }
        // So many generators, such a fraction.
        let implied =
            (!generators.is_empty() && generators.len() < 64).then(|| 1u64 << generators.len());
        match fraction.or(implied) {
            Some(fraction) => Ok(Design::Fractional {
                fraction,
                generators,
            }),
            None => Err(self.error(
                at,
                "design.fraction",
                "is missing",
                "2, 4, 8 or another power of two: run one cell in so many",
            )),
        }
    }

    fn design_problem(&self, at: Place, problem: DesignProblem) -> crate::spec::SpecError {
        let key = format!("design.{}", problem.key);
        self.error(at, &key, problem.problem, problem.expected)
    }
}
