//! A workspace as it would be with some runs in it that it may not have yet: what could start there, and what never
//! can. It makes nothing.

use super::FindError;
use crate::record::RunId;
use crate::sched::{Standing, Task, View, standing};
use crate::spec::RunSpec;
use crate::store::Store;
use crate::util::printable;

/// The workspace with `specs` in it. It knows nothing of a scheduler at work.
pub fn prospect<'s>(store: &Store, specs: impl IntoIterator<Item = &'s RunSpec>) -> View {
    let mut view = View::at_rest(store);
    for spec in specs {
        view.tasks
            .entry(spec.id.clone())
            .or_insert_with(|| Task::new(spec));
    }
    view
}

/// Bring what `view` says of these runs up to date, all of which the workspace has.
pub fn renew<'i>(view: &mut View, store: &Store, ids: impl IntoIterator<Item = &'i RunId>) {
    for run in ids.into_iter().filter_map(|id| store.get(id)) {
        view.tasks.insert(run.id().clone(), Task::at_rest(run));
    }
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
