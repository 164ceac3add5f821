//! Acknowledgements: which roles have one that still holds.

use crate::error::Error;
use conveyor_proto::{
    ids::BindingId,
    types::{
        common::Role,
        supervision::{Acknowledgement, ManagerConfig},
    },
};
use serde_json::{Value, json};

/// Why a role's acknowledgement does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// There is none.
    Missing,
    /// It was given for another binding.
    OtherBinding,
    /// The configuration has changed since.
    OldConfigRevision,
}

impl Lack {
    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::OtherBinding => "other_binding",
            Self::OldConfigRevision => "old_config_revision",
        }
    }
}

/// The latest acknowledgements of a task.
#[derive(Debug, Clone, Copy)]
pub struct Latest<'a> {
    /// The worker's.
    pub worker: Option<&'a Acknowledgement>,
    /// The manager's.
    pub manager: Option<&'a Acknowledgement>,
}

/// The roles whose latest acknowledgement does not hold, the worker first. One holds when it was given for this
/// binding and for the configuration's present revision.
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

/// Refuses when roles are missing. `what` needs them, for example "cycle".
///
/// # Errors
/// `acknowledgements_required`, with the reason per role in its data.
pub fn require(what: &str, missing: &[(Role, Lack)]) -> Result<(), Error> {
    if missing.is_empty() {
        return Ok(());
    }
    let roles: Vec<&str> = missing.iter().map(|(role, _)| role.as_str()).collect();
    let reasons: Value = missing.iter().map(|(role, lack)| (role.as_str(), lack.as_str())).collect();
    let message = format!("{what} requires current acknowledgement(s): {}", roles.join(", "));
    Err(Error::refused("acknowledgements_required", message)
        .hint("worker-ack TASK --from-stdin and manager-ack TASK --from-stdin record them; a new binding or a change of the configuration asks for new ones")
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
