//! `inbox.*`: the notifications that wait for a session.

use super::Methods;
use crate::dispatch::inbox;
use conveyor_proto::registry::{InboxAcknowledge, InboxTake};
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<InboxTake, _, _>(|app, params| async move {
        let _waiting = params.wait.then(|| app.waiting());
        inbox::take(&app.store, params, &app.shutdown).await
    })?;
    methods.add::<InboxAcknowledge, _, _>(|app, params| async move {
        inbox::acknowledge(&app.store, params).await
    })
}
