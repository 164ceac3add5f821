//! `cycle.*`: one observation.

use super::Methods;
use conveyor_proto::registry::CycleRun;
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<CycleRun, _, _>(|app, params| async move {
        let observer = app.observer();
        // A cycle that was begun is recorded to its end.
        app.to_its_end(async move { observer.cycle(params).await }).await
    })
}
