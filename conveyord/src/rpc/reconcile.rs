//! `reconcile.*`: drift between the database and what really runs.

use super::Methods;
use crate::drift;
use conveyor_proto::registry::ReconcileRun;
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<ReconcileRun, _, _>(|app, params| async move {
        drift::reconcile(&app.drift(), &app.ingest, params).await
    })
}
