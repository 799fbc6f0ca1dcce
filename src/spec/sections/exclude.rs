//! `[[exclude]]`: cells that are left out. A condition that leaves out nothing is a mistake and is refused.

use super::{Node, Result, Sections};
use crate::spec::experiment::{Exclude, Experiment};

impl Sections<'_> {
    pub(super) fn exclude(&self, node: &Node, experiment: &Experiment) -> Result<Exclude> {
        let Some((_, at, when)) = self.table("exclude", node, &["when"])?.first() else {
            return Err(self.error(
                node.at,
                "exclude",
                "has no condition",
                "when = { \"KEY\" = VALUE, .. }",
            ));
        };
        let conditions = self.conditions("exclude", "when", when, *at, experiment)?;
        if conditions.is_empty() {
            return Err(self.error(
                *at,
                "exclude.when",
                "is empty and would leave out every cell",
                "at least one KEY = VALUE",
            ));
        }
        Ok(Exclude {
            when: conditions,
            at: *at,
        })
    }
}
