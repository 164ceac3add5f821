//! `run.*`: telemetry runs and loop runs.

use super::{Methods, page};
use crate::runs;
use conveyor_proto::registry::{RunCreate, RunFinish, RunList, RunShow};
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<RunCreate, _, _>(|app, params| async move { runs::create(&app.store, params).await })?;
    methods.add::<RunList, _, _>(|app, params| async move {
        app.store
            .read(move |connection| {
                page::of(runs::list(connection, &params)?, &params.page, |row| row.id.clone())
            })
            .await
    })?;
    methods.add::<RunShow, _, _>(|app, params| async move {
        app.store.read(move |connection| runs::show(connection, &params)).await
    })?;
    methods.add::<RunFinish, _, _>(|app, params| async move { runs::finish(&app.store, params).await })
}
