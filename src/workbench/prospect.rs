//! A workspace as it would be with some runs in it that it may not have yet: what could start there, and what never
//! can. It makes nothing.

use super::FindError;
use crate::record::RunDir;
use crate::sched::{Standing, Task, View, standing};
use crate::spec::RunSpec;
use crate::store::{Run, Store};
use crate::util::printable;

/// The workspace with `specs` in it and no scheduler at work.
pub fn prospect<'s>(store: &Store, specs: impl IntoIterator<Item = &'s RunSpec>) -> View {
    let mut view = View::at_rest(store);
    for spec in specs {
        view.tasks.entry(spec.id.clone()).or_insert_with(|| {
            let dir = RunDir::new(store.root().join(spec.id.as_str()));
            Task::at_rest(&Run::new(dir, spec.clone()))
        });
    }
    view
}

/// Refuse runs that start from a run which is neither in the workspace nor one of them.
pub fn require_sources(store: &Store, specs: &[RunSpec]) -> Result<(), FindError> {
    let view = prospect(store, specs);
    let absent = |spec: &RunSpec| match standing(&view, &spec.id) {
        Some(Standing::Blocked { by }) if !view.tasks.contains_key(&by) => Some(by),
        _ => None,
    };
    match specs.iter().find_map(absent) {
        Some(by) => Err(FindError::Source {
            id: by,
            workspace: printable(&store.root().display().to_string()),
        }),
        None => Ok(()),
    }
}
