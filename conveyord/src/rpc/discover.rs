//! `discover.*`: looking for tasks, sessions and bindings.

use super::Methods;
use crate::finding;
use conveyor_proto::registry::DiscoverRun;
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<DiscoverRun, _, _>(|app, params| async move { finding::discover(&app.store, params).await })
}
