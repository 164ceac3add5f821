//! `overview.*`: where everything stands.

use super::Methods;
use crate::overview;
use conveyor_proto::registry::OverviewShow;
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<OverviewShow, _, _>(|app, params| async move {
        overview::overview(&app.observer(), params).await
    })
}
