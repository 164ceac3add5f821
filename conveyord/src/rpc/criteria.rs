//! `criteria.*`: the criteria of a task.

use super::{Methods, page};
use crate::error::Error;
use crate::supervision::criteria::{self, plan};
use conveyor_proto::{
    registry::{
        CriteriaAccept, CriteriaAdd, CriteriaDefer, CriteriaList, CriteriaPlan, CriteriaReject,
        CriteriaSatisfy,
    },
    types::criteria::CriterionStatus,
};
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<CriteriaList, _, _>(|app, params| async move {
        app.store
            .read(move |connection| {
                let mut listed = criteria::list(connection, &params)?;
                listed.criteria = page::of(listed.criteria, &params.page, |row| row.id)?;
                Ok::<_, Error>(listed)
            })
            .await
    })?;
    methods.add::<CriteriaAdd, _, _>(|app, params| async move { criteria::add(&app.store, params).await })?;
    methods.add::<CriteriaAccept, _, _>(|app, params| async move {
        criteria::settle(&app.store, CriterionStatus::Accepted, params).await
    })?;
    methods.add::<CriteriaSatisfy, _, _>(|app, params| async move {
        criteria::settle(&app.store, CriterionStatus::Satisfied, params).await
    })?;
    methods.add::<CriteriaDefer, _, _>(|app, params| async move {
        criteria::settle(&app.store, CriterionStatus::Deferred, params).await
    })?;
    methods.add::<CriteriaReject, _, _>(|app, params| async move {
        criteria::settle(&app.store, CriterionStatus::Rejected, params).await
    })?;
    methods.add::<CriteriaPlan, _, _>(|app, params| async move {
        app.store.read(move |connection| plan::plan(connection, &params)).await
    })
}
