//! `ack.*`: acknowledgements of a task's contract.

use super::Methods;
use crate::supervision::acks;
use conveyor_proto::registry::{AckRecord, AckShow};
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<AckRecord, _, _>(|app, params| async move { acks::record(&app.store, params).await })?;
    methods.add::<AckShow, _, _>(|app, params| async move {
        app.store.read(move |connection| acks::show(connection, &params)).await
    })
}
