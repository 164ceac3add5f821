//! `doctor.*`: checks of the tools.

use super::Methods;
use crate::doctor;
use conveyor_proto::registry::DoctorRun;
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<DoctorRun, _, _>(|app, params| async move { doctor::run(&app.doctor(), &params).await })
}
