//! `state.*`: waiting for something that a session does or receives.

use super::Methods;
use crate::waiting;
use conveyor_proto::registry::StateWait;
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<StateWait, _, _>(|app, params| async move {
        let _waiting = (params.timeout > 0.0).then(|| app.waiting());
        waiting::wait(&app.observer(), params, &app.shutdown).await
    })
}
