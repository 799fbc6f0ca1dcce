//! `[[claim]]`: a sentence that the runs are to bear out or contradict.

use super::{Node, Result, Sections};
use crate::spec::claim::{Claim, ClaimSort, Conditions};
use crate::spec::experiment::Experiment;

/// The ways to compare: what is said of the cells that stand there.
const SORTS: [&str; 3] = ["higher", "lower", "equal"];

impl Sections<'_> {
    pub(super) fn claim(&self, node: &Node, experiment: &Experiment) -> Result<Claim> {
        let known = [
            "says", "metric", "higher", "lower", "equal", "than", "when", "within",
        ];
        let entries = self.table("claim", node, &known)?;
        let entry = |key: &str| entries.iter().find(|(name, ..)| name == key);
        let missing = |key: &str, expected: &str| {
            self.error(node.at, &format!("claim.{key}"), "is missing", expected)
        };
        let text = |key: &str, expected: &str| match entry(key) {
            Some((_, _, node)) => self.string(&format!("claim.{key}"), node),
            None => Err(missing(key, expected)),
        };
        let conditions = |key: &str| -> Result<Option<Conditions>> {
            let said =
                entry(key).map(|(_, at, node)| self.met_by("claim", key, node, *at, experiment));
            said.transpose()
        };
        let mut sorts = SORTS.iter().filter(|sort| entry(sort).is_some());
        let sort = match (sorts.next(), sorts.next()) {
            (Some(sort), None) => *sort,
            (None, _) => {
                return Err(missing(
                    "higher",
                    "one of higher, lower, equal: the values of axes that it is said of",
                ));
            }
            (Some(one), Some(other)) => {
                let (_, at, _) = entry(other).expect("it was found");
                let problem = format!("stands beside `{one}`");
                let key = format!("claim.{other}");
                return Err(self.error(*at, &key, problem, "one of the two"));
            }
        };
        let within = match entry("within") {
            Some((_, _, node)) => {
                Some(self.above_zero("claim.within", node, "a number above 0")?)
            }
            None => None,
        };
        Ok(Claim {
            says: text("says", "one sentence")?,
            metric: text(
                "metric",
                "the name of a measurement, such as \"zeroshot/top1\"",
            )?,
            of: conditions(sort)?.unwrap_or_default(),
            than: conditions("than")?
                .ok_or_else(|| missing("than", "the values of axes that it is compared with"))?,
            when: conditions("when")?.unwrap_or_default(),
            sort: match (sort, within) {
                ("higher", None) => ClaimSort::Higher,
                ("lower", None) => ClaimSort::Lower,
                ("equal", Some(within)) => ClaimSort::Equal { within },
                ("equal", None) => {
                    return Err(missing("within", "the difference that does not matter"));
                }
                _ => {
                    let (_, at, _) = entry("within").expect("it was read");
                    let problem = format!("has no meaning beside `{sort}`");
                    return Err(self.error(*at, "claim.within", problem, "no margin, or `equal`"));
                }
            },
        })
    }
}
