//! Acknowledgements of the contract: how they are recorded, and which of them still hold.

use super::{context, limits};
use crate::{
    attention,
    error::{Error, Result},
    refusal::Kind,
    store::{
        Durability, Store, bindings,
        event_names::SharedEvent,
        log::{self, Actor, Event, Run, Telemetry},
        supervision as store, tasks,
    },
    words::names::{self, Is},
};
use conveyor_proto::{
    ids::BindingId,
    types::{
        ack::{RecordAckParams, ShowAckParams},
        common::Role,
        supervision::{Acknowledgement, ManagerConfig},
    },
};
use rusqlite::Connection;
use serde_json::{Value, json};

/// Records that a role acknowledges the task's present binding and the present revision of its configuration.
///
/// # Errors
/// `payload_too_large`, `text_too_long`, `unknown_task`, `ambiguous_task`.
pub async fn record(database: &Store, params: RecordAckParams) -> Result<Acknowledgement> {
    limits::payload("the acknowledgement", &params.payload)?;
    names::check_if(Is::Id("correlation id"), params.correlation_id.as_deref().filter(|id| !id.is_empty()))?;
    let (actor, kind) = match params.role {
        Role::Worker => (Actor::Worker, SharedEvent::WorkerAckRecorded),
        Role::Manager => (Actor::Manager, SharedEvent::ManagerAckRecorded),
    };
    database
        .write(Durability::Full, move |tx| {
            let task = tasks::resolve(tx, &params.task)?;
            let binding = bindings::open_of_task(tx, &task.id)?.map(|binding| binding.id);
            let config_revision = context::config(tx, &task)?.map(|config| config.revision);
            let correlation_id = params.correlation_id.as_deref();
            let ack = store::insert_ack(
                tx,
                &task.id,
                params.role,
                binding.as_ref(),
                config_revision,
                &params.payload,
                correlation_id,
            )?;
            let mut keys: Vec<&String> = params.payload.keys().collect();
            keys.sort();
            log::event(
                tx,
                &Event {
                    actor,
                    kind: kind.into(),
                    task_id: Some(task.id.as_str()),
                    command_id: None,
                    correlation_id,
                    payload: json!({
                        "ack_id": ack.id, "binding_id": binding, "payload_keys": keys, "role": params.role,
                    }),
                },
            )?;
            log::telemetry(
                tx,
                &Telemetry {
                    actor,
                    kind: kind.into(),
                    summary: "The contract was acknowledged.".to_owned(),
                    task_id: Some(task.id.as_str()),
                    run: Run::Active,
                    correlation: json!({
                        "ack_id": ack.id, "binding_id": binding, "correlation_id": correlation_id,
                    }),
                    attributes: json!({
                        "manager_config_revision": config_revision,
                        "payload_key_count": keys.len(),
                        "revision": ack.revision,
                    }),
                },
            )?;
            if params.role == Role::Worker {
                attention::acknowledged(tx, &ack)?;
            }
            Ok(ack)
        })
        .await
}

/// The newest acknowledgement of a role.
///
/// # Errors
/// `unknown_task`, `ambiguous_task`.
pub fn show(connection: &Connection, params: &ShowAckParams) -> Result<Option<Acknowledgement>> {
    let task = tasks::resolve(connection, &params.task)?;
    Ok(store::latest_ack(connection, &task.id, params.role)?)
}

/// Why the acknowledgement of a role does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// The role has given none.
    Missing,
    /// It was given for another binding of the task.
    OtherBinding,
    /// The configuration has changed since it was given.
    OldConfigRevision,
}

impl Lack {
    /// The stable word for this reason.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::OtherBinding => "other_binding",
            Self::OldConfigRevision => "old_config_revision",
        }
    }
}

/// The newest acknowledgement of each role.
#[derive(Debug, Clone, Copy)]
pub struct Latest<'a> {
    pub worker: Option<&'a Acknowledgement>,
    pub manager: Option<&'a Acknowledgement>,
}

/// The roles whose newest acknowledgement does not hold, the worker first. An acknowledgement holds for one
/// binding and one revision of the configuration.
#[must_use]
pub fn missing(
    latest: Latest<'_>,
    binding: Option<&BindingId>,
    config: Option<&ManagerConfig>,
) -> Vec<(Role, Lack)> {
    let lack = |ack: Option<&Acknowledgement>| match ack {
        None => Some(Lack::Missing),
        Some(ack) if ack.binding_id.as_deref() != binding.map(BindingId::as_str) => Some(Lack::OtherBinding),
        Some(ack) if ack.manager_config_revision != config.map(|config| config.revision) => {
            Some(Lack::OldConfigRevision)
        }
        Some(_) => None,
    };
    [(Role::Worker, latest.worker), (Role::Manager, latest.manager)]
        .into_iter()
        .filter_map(|(role, ack)| Some((role, lack(ack)?)))
        .collect()
}

/// Refuses if acknowledgements are missing. `what` names the action that needs them, for example "cycle".
///
/// # Errors
/// `acknowledgements_required`, with the reason for each role in its data.
pub fn require(what: &str, missing: &[(Role, Lack)]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let roles: Vec<&str> = missing.iter().map(|(role, _)| role.as_str()).collect();
    let reasons: Value = missing.iter().map(|(role, lack)| (role.as_str(), lack.as_str())).collect();
    let message = format!("{what} requires current acknowledgement(s): {}", roles.join(", "));
    Err(Error::refused(Kind::AcknowledgementsRequired, message)
        .hint("`worker-ack TASK --from-stdin` and `manager-ack TASK --from-stdin` record them; a new binding or a change of the configuration asks for new ones")
        .data(json!({"missing": reasons})))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(binding: &str, revision: i64) -> Acknowledgement {
        Acknowledgement {
            binding_id: Some(binding.into()),
            correlation_id: None,
            created_at: String::new(),
            id: 1,
            manager_config_revision: Some(revision),
            payload: json!({}),
            revision: 1,
            role: String::new(),
            task_id: String::new(),
        }
    }

    fn config(revision: i64) -> ManagerConfig {
        serde_json::from_value(json!({
            "acceptance_criteria": [], "created_at": "", "epilogues": [], "guidelines": [],
            "nudge_on_completion": "off", "objective": null, "permissions": {}, "reference_paths": [],
            "require_acks": true, "revision": revision, "supervision_mode": "guided", "task_id": "", "tools": [],
            "updated_at": "",
        }))
        .unwrap()
    }

    #[track_caller]
    fn check(worker: Option<(&str, i64)>, manager: Option<(&str, i64)>, expect: &[(Role, Lack)]) {
        let (worker, manager) = (worker.map(|(b, r)| ack(b, r)), manager.map(|(b, r)| ack(b, r)));
        let latest = Latest { worker: worker.as_ref(), manager: manager.as_ref() };
        assert_eq!(missing(latest, Some(&BindingId("b2".into())), Some(&config(3))), expect);
    }

    #[test]
    fn acknowledgements_go_out_of_date() {
        check(Some(("b2", 3)), Some(("b2", 3)), &[]);
        check(None, Some(("b1", 3)), &[(Role::Worker, Lack::Missing), (Role::Manager, Lack::OtherBinding)]);
        check(Some(("b2", 2)), Some(("b2", 3)), &[(Role::Worker, Lack::OldConfigRevision)]);
    }

    #[test]
    fn the_refusal_names_the_roles_and_why() {
        let Err(Error::Refused(refusal)) =
            require("cycle", &[(Role::Worker, Lack::Missing), (Role::Manager, Lack::OtherBinding)])
        else {
            panic!("not refused")
        };
        assert!(refusal.message.ends_with("worker, manager"), "{refusal}");
        let reasons = json!({"missing": {"worker": "missing", "manager": "other_binding"}});
        assert_eq!(refusal.data, Some(reasons));
    }
}
