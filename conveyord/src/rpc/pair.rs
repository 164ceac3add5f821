//! `pair.*`: a task with a worker and a manager that are started for it.

use super::Methods;
use crate::pairing;
use conveyor_proto::registry::{PairCreate, PairPlanned};
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    // A pair runs to its end even if the caller disappears. Otherwise a Codex would be left that nobody
    // supervises.
    methods.add::<PairCreate, _, _>(|app, params| async move {
        let spawner = app.spawner();
        app.to_its_end(async move { pairing::create(&spawner, params).await }).await
    })?;
    methods.add::<PairPlanned, _, _>(|app, params| async move { pairing::plan(&app.spawner(), &params) })
}
