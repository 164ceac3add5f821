//! `handoff.*`: what a worker writes down for its successor.

use super::Methods;
use crate::supervision::handoffs;
use conveyor_proto::registry::HandoffRecord;
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods
        .add::<HandoffRecord, _, _>(|app, params| async move { handoffs::record(&app.store, params).await })
}
