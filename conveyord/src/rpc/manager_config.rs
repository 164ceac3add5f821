//! `manager_config.*`: the manager's configuration of a task.

use super::Methods;
use crate::supervision::manager_config::{self, permission, questions};
use conveyor_proto::registry::{
    ManagerConfigCheckPermission, ManagerConfigListPermissions, ManagerConfigQuestions, ManagerConfigSet,
};
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<ManagerConfigSet, _, _>(|app, params| async move {
        manager_config::set(&app.store, params).await
    })?;
    methods.add::<ManagerConfigQuestions, _, _>(|app, params| async move {
        app.store.read(move |connection| questions::questions(connection, &params)).await
    })?;
    methods.add::<ManagerConfigCheckPermission, _, _>(|app, params| async move {
        permission::check(&app.store, params).await
    })?;
    methods.add::<ManagerConfigListPermissions, _, _>(|app, params| async move {
        permission::list(&app.store, params).await
    })
}
