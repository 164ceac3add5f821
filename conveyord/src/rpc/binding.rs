//! `binding.*`: binding a worker and a manager to a task.

use super::Methods;
use crate::bindings;
use conveyor_proto::registry::{BindingCreate, BindingEnd};
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods
        .add::<BindingCreate, _, _>(|app, params| async move { bindings::bind(&app.store, params).await })?;
    methods
        .add::<BindingEnd, _, _>(|app, params| async move { bindings::unbind(&app.store, params.task).await })
}
