//! `approval.*`: the approvals that Codex asks for, and a manager's answer to them.

use super::{Methods, page};
use crate::approvals::Decision;
use conveyor_proto::registry::{ApprovalAccept, ApprovalDecline, ApprovalList};
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<ApprovalList, _, _>(|app, params| async move {
        let page = params.page.clone();
        page::of(app.approvals.list(params).await?, &page, |row| row.id.clone())
    })?;
    methods.add::<ApprovalAccept, _, _>(|app, params| async move {
        let approvals = app.approvals.clone();
        app.to_its_end(async move { approvals.decide(params, Decision::Accept).await }).await
    })?;
    methods.add::<ApprovalDecline, _, _>(|app, params| async move {
        let approvals = app.approvals.clone();
        app.to_its_end(async move { approvals.decide(params, Decision::Decline).await }).await
    })
}
