//! The permissions: which exist, their aliases, and whether a configuration grants one.

use crate::refusal::Kind;
use crate::{error::Error, words::shown};
use conveyor_proto::types::{dispatch::PermissionCheck, supervision::ManagerConfig};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Every category with its actions.
const TAXONOMY: [(&str, &[&str]); 5] = [
    ("communication", &["comment_on_pr", "notify_operator"]),
    ("context", &["fetch_issues", "fetch_prs", "spawn_reviewer"]),
    ("repo", &["merge_green_pr", "open_pr", "push_branch"]),
    ("verification", &["run_cargo", "run_playwright", "run_pytest", "run_xcodebuild"]),
    // `approve` allows a manager to answer a pending approval of its worker. agent-conveyor 0.1.0 does not
    // have it.
    ("worker_session", &["approve", "clear", "compact", "interrupt", "stop"]),
];

/// Other names, each with the permissions that it stands for.
const ALIASES: [(&str, &[&str]); 6] = [
    ("allow_merge_green", &["repo.merge_green_pr"]),
    ("allow_pr", &["repo.open_pr"]),
    ("allow_worker_compact_clear", &["worker_session.compact", "worker_session.clear"]),
    ("create_pr", &["repo.open_pr"]),
    ("merge_green_pr", &["repo.merge_green_pr"]),
    ("worker_compact_clear", &["worker_session.compact", "worker_session.clear"]),
];

/// One of the permissions in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    category: &'static str,
    action: &'static str,
}

impl Permission {
    #[must_use]
    pub const fn category(self) -> &'static str {
        self.category
    }

    #[must_use]
    pub const fn action(self) -> &'static str {
        self.action
    }

    fn named(name: &str) -> Option<Self> {
        let (category, action) = name.split_once('.')?;
        Self::of(category, action)
    }

    pub(super) fn of(category: &str, action: &str) -> Option<Self> {
        let (category, actions) = TAXONOMY.iter().find(|(known, _)| *known == category)?;
        let action = actions.iter().find(|known| **known == action)?;
        Some(Self { category, action })
    }
}

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.category, self.action)
    }
}

/// All permissions, in the order of their categories.
pub fn all() -> impl Iterator<Item = Permission> {
    TAXONOMY
        .iter()
        .flat_map(|(category, actions)| actions.iter().map(|action| Permission { category, action }))
}

/// The permissions that a name stands for. Some aliases stand for two. Names must match exactly.
///
/// # Errors
/// `unknown_permission`.
pub fn normalise(name: &str) -> Result<Vec<Permission>, Error> {
    lookup(name).ok_or_else(|| unknown(format!("\"{}\" is no permission", shown(name))))
}

/// The refusal of a word that is no permission. The hint lists the permissions.
pub(super) fn unknown(message: String) -> Error {
    let known = TAXONOMY.map(|(category, actions)| format!("{category}.({})", actions.join("|"))).join(", ");
    Error::invalid(Kind::UnknownPermission, message).hint(format!("name one as category.action: {known}"))
}

/// The category of this name.
pub(super) fn category(name: &str) -> Option<&'static str> {
    TAXONOMY.iter().map(|(category, _)| *category).find(|category| *category == name)
}

/// Every category with its actions, both sorted.
pub(super) fn taxonomy() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    TAXONOMY.into_iter()
}

/// The permissions that a name stands for; none if the name is unknown.
pub(super) fn lookup(name: &str) -> Option<Vec<Permission>> {
    if let Some(permission) = Permission::named(name) {
        return Some(vec![permission]);
    }
    let (_, names) = ALIASES.iter().find(|(alias, _)| *alias == name)?;
    Some(names.iter().filter_map(|name| Permission::named(name)).collect())
}

/// Reads stored permissions: for each category the granted actions, sorted. Older rows have flat keys and
/// aliases. An unknown key grants nothing.
#[must_use]
pub fn granted(stored: &Value) -> BTreeMap<String, Vec<String>> {
    let mut granted = BTreeSet::new();
    for (key, value) in stored.as_object().into_iter().flatten() {
        match value {
            Value::Array(actions) if category(key).is_some() => {
                granted.extend(actions.iter().filter_map(|action| Permission::of(key, action.as_str()?)));
            }
            value if is_truthy(value) => granted.extend(lookup(key).into_iter().flatten()),
            _ => {}
        }
    }
    by_category(&granted)
}

/// For each category the granted actions, sorted. Permissions are stored and shown in this form.
pub(super) fn by_category(granted: &BTreeSet<Permission>) -> BTreeMap<String, Vec<String>> {
    let actions = |category: &str| {
        let of_category = granted.iter().filter(|permission| permission.category == category);
        of_category.map(|permission| permission.action.to_owned()).collect()
    };
    taxonomy().map(|(category, _)| (category.to_owned(), actions(category))).collect()
}

/// Whether a value in an older row is a grant. Everything is, except null, false, zero and empty values.
pub(super) fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// Checks a required permission against a task's configuration. Without a configuration nothing is granted.
/// An alias that stands for two permissions needs both.
///
/// # Errors
/// `unknown_permission`.
pub fn check(config: Option<&ManagerConfig>, required: &str) -> Result<PermissionCheck, Error> {
    let permissions = normalise(required)?;
    let is_granted = |config: &ManagerConfig, permission: &Permission| {
        let actions = config.permissions.get(permission.category);
        actions.is_some_and(|actions| actions.iter().any(|action| action == permission.action))
    };
    Ok(PermissionCheck {
        allowed: config
            .is_some_and(|config| permissions.iter().all(|permission| is_granted(config, permission))),
        configured: config.is_some(),
        required_permission: required.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check_name(name: &str, expect: &[&str]) {
        let names =
            normalise(name).map(|permissions| permissions.iter().map(Permission::to_string).collect());
        let expect =
            (!expect.is_empty()).then(|| expect.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(names.ok(), expect, "{name:?}");
    }

    #[test]
    fn names_are_exact() {
        check_name("repo.open_pr", &["repo.open_pr"]);
        check_name("allow_pr", &["repo.open_pr"]);
        check_name("create_pr", &["repo.open_pr"]);
        check_name("merge_green_pr", &["repo.merge_green_pr"]);
        check_name("worker_compact_clear", &["worker_session.compact", "worker_session.clear"]);
        for name in
            ["", "repo", "repo.", ".open_pr", "Repo.open_pr", " repo.open_pr", "repo.compact", "open_pr"]
        {
            check_name(name, &[]);
        }
    }

    #[test]
    fn every_alias_stands_for_known_permissions() {
        for (alias, names) in ALIASES {
            assert_eq!(normalise(alias).unwrap().len(), names.len(), "{alias}");
        }
    }

    #[track_caller]
    fn check_stored(stored: Value, expect: Value) {
        let granted = serde_json::to_value(granted(&stored)).unwrap();
        let mut all =
            json!({"communication": [], "context": [], "repo": [], "verification": [], "worker_session": []});
        for (category, actions) in expect.as_object().unwrap() {
            all[category] = actions.clone();
        }
        assert_eq!(granted, all, "{stored}");
    }

    #[test]
    fn stored_permissions_of_any_age_are_read() {
        check_stored(json!({}), json!({}));
        check_stored(json!("nonsense"), json!({}));
        check_stored(
            json!({"repo": ["push_branch", "open_pr", "open_pr", "fly", 3], "sky": ["fly"]}),
            json!({"repo": ["open_pr", "push_branch"]}),
        );
        check_stored(
            json!({"worker_compact_clear": 1, "repo.open_pr": true, "allow_merge_green": false, "repo": "open_pr"}),
            json!({"worker_session": ["clear", "compact"], "repo": ["open_pr"]}),
        );
    }

    #[track_caller]
    fn check_required(permissions: Option<Value>, required: &str, allowed: bool) {
        let config = permissions.map(|permissions| ManagerConfig {
            acceptance_criteria: vec![],
            created_at: String::new(),
            epilogues: vec![],
            guidelines: vec![],
            nudge_on_completion: conveyor_proto::types::supervision::NudgeOnCompletion::Off,
            objective: None,
            permissions: granted(&permissions),
            reference_paths: vec![],
            require_acks: false,
            revision: 1,
            supervision_mode: conveyor_proto::types::supervision::SupervisionMode::Guided,
            task_id: "task-1".into(),
            tools: vec![],
            updated_at: String::new(),
        });
        let check = check(config.as_ref(), required).unwrap();
        assert_eq!((check.allowed, check.configured), (allowed, config.is_some()), "{required}");
    }

    #[test]
    fn a_permission_needs_a_configuration_that_grants_all_of_it() {
        check_required(None, "repo.open_pr", false);
        check_required(Some(json!({})), "repo.open_pr", false);
        check_required(Some(json!({"repo": ["open_pr"]})), "create_pr", true);
        check_required(Some(json!({"worker_session": ["compact"]})), "worker_compact_clear", false);
        check_required(Some(json!({"worker_session": ["compact", "clear"]})), "worker_compact_clear", true);
    }
}
