//! `db.*`: checks of the database.

use super::Methods;
use crate::doctor::database;
use conveyor_proto::registry::DbDoctor;
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<DbDoctor, _, _>(|app, params| async move { database::run(&app.doctor(), &params).await })
}
