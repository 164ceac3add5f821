//! `command.*`: queueing and listing durable commands.

use super::Methods;
use crate::dispatch::{enqueue::enqueue, listing, mend};
use conveyor_proto::{
    registry::{
        CommandDiscard, CommandEnqueueNotifyManager, CommandEnqueueNudgeWorker, CommandList, CommandRetry,
    },
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
    methods
        .add::<CommandList, _, _>(|app, params| async move { listing::commands(&app.store, params).await })?;
    methods.add::<CommandRetry, _, _>(|app, params| async move { mend::retry(&app.store, params).await })?;
    methods.add::<CommandDiscard, _, _>(|app, params| async move { mend::discard(&app.store, params).await })
}
