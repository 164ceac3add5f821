//! `config.*`: the settings in effect.

use super::Methods;
use conveyor_proto::registry::ConfigShow;
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<ConfigShow, _, _>(|app, _| async move { Ok(app.config.shown()) })
}
