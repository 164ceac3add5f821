//! `doctor.*`: checks of the tools.

use super::Methods;
use crate::doctor::{self, calling};
use conveyor_proto::registry::{DoctorRun, DoctorSelf};
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<DoctorRun, _, _>(|app, params| async move { doctor::run(&app.doctor(), &params).await })?;
    methods.add::<DoctorSelf, _, _>(|app, params| async move { calling::run(&app.doctor(), &params).await })
}
