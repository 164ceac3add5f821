//! `command.*`: queueing and listing durable commands.

use super::Methods;
use crate::dispatch::{enqueue::enqueue, listing};
use conveyor_proto::{
    registry::{CommandEnqueueNotifyManager, CommandEnqueueNudgeWorker, CommandList},
    types::dispatch::SignalType,
};
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<CommandEnqueueNotifyManager, _, _>(|app, params| async move {
        enqueue(&app.store, SignalType::NotifyManager, params).await
    })?;
    methods.add::<CommandEnqueueNudgeWorker, _, _>(|app, params| async move {
        enqueue(&app.store, SignalType::NudgeWorker, params).await
    })?;
    methods.add::<CommandList, _, _>(|app, params| async move { listing::commands(&app.store, params).await })
}
