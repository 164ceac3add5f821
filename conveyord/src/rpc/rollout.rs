//! `rollout.*`: reading rollouts and their stored records.

use super::Methods;
use crate::ingest::view;
use conveyor_proto::registry::{RolloutIngest, RolloutTail};
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<RolloutIngest, _, _>(|app, params| async move {
        view::ingest(&app.store, &app.ingest, params.name).await
    })?;
    methods.add::<RolloutTail, _, _>(|app, params| async move { view::tail(&app.store, params).await })
}
