//! `cycle.*`: observations.

use super::Methods;
use crate::history::divergences;
use conveyor_proto::registry::{CycleDivergences, CycleRun};
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<CycleRun, _, _>(|app, params| async move {
        let observer = app.observer();
        // A cycle that has begun must be recorded, so it runs to its end even if the caller disappears.
        app.to_its_end(async move { observer.cycle(params).await }).await
    })?;
    methods.add::<CycleDivergences, _, _>(|app, params| async move {
        app.store.read(move |connection| divergences::list(connection, &params)).await
    })
}
