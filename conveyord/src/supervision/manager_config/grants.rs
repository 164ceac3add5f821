//! How a change of the configuration changes the granted permissions.

use super::Unknown;
use crate::{
    error::{Error, Result},
    refusal::Kind,
    supervision::permissions::{self, Permission},
    words::shown,
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// One step of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Edit {
    /// Replaces all grants of a category.
    Replace(&'static str, Vec<Permission>),
    Grant(Vec<Permission>),
    Revoke(Vec<Permission>),
}

/// The steps of a change, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Edits {
    edits: Vec<Edit>,
    /// What was ignored, and why.
    pub(super) warnings: Vec<String>,
}

impl Edits {
    /// Reads the change that a caller gave: first the permissions to grant, then the changes by key.
    ///
    /// # Errors
    /// `unknown_permission`, `invalid_permissions`.
    pub(super) fn read(permit: &[String], changes: &Map<String, Value>, unknown: Unknown) -> Result<Self> {
        let mut edits = Self::default();
        for name in permit {
            edits.edits.push(Edit::Grant(permissions::normalise(name)?));
        }
        for (key, value) in changes {
            edits.read_change(key, value)?;
        }
        match edits.warnings.first() {
            Some(first) if unknown == Unknown::Refused => Err(permissions::unknown(first.clone())),
            _ => Ok(edits),
        }
    }

    fn read_change(&mut self, key: &str, value: &Value) -> Result<()> {
        if let Some(category) = permissions::category(key) {
            match value {
                Value::Array(actions) => {
                    let actions = self.known(category, actions)?;
                    self.edits.push(Edit::Replace(category, actions));
                }
                _ => self.warnings.push(format!("permission category {category} must be a list")),
            }
        } else if let Some(permissions) = permissions::lookup(key) {
            let is_granted = permissions::is_truthy(value);
            self.edits.push(if is_granted { Edit::Grant(permissions) } else { Edit::Revoke(permissions) });
        } else {
            self.warnings.push(format!("unknown permission key: {}", shown(key)));
        }
        Ok(())
    }

    fn known(&mut self, category: &'static str, actions: &[Value]) -> Result<Vec<Permission>> {
        let mut known = Vec::new();
        for action in actions {
            let name = match action {
                Value::String(name) => name.clone(),
                Value::Array(_) | Value::Object(_) => {
                    let message =
                        format!("the list of permission category {category} has an entry that is no word");
                    return Err(Error::invalid(Kind::InvalidPermissions, message)
                        .hint(format!("{{\"{category}\": [\"ACTION\", ...]}}")));
                }
                other => other.to_string(),
            };
            match Permission::of(category, &name) {
                Some(permission) => known.push(permission),
                None => self.warnings.push(format!("unknown permission: {category}.{}", shown(&name))),
            }
        }
        Ok(known)
    }

    /// The grants after the change, in the form in which they are stored.
    pub(super) fn apply(&self, granted: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
        let mut granted: BTreeSet<Permission> = granted
            .iter()
            .flat_map(|(category, actions)| {
                actions.iter().filter_map(|action| Permission::of(category, action))
            })
            .collect();
        for edit in &self.edits {
            match edit {
                Edit::Replace(category, permissions) => {
                    granted.retain(|permission| permission.category() != *category);
                    granted.extend(permissions);
                }
                Edit::Grant(permissions) => granted.extend(permissions),
                Edit::Revoke(permissions) => {
                    granted.retain(|permission| !permissions.contains(permission));
                }
            }
        }
        permissions::by_category(&granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(permit: &[&str], changes: Value, unknown: Unknown) -> Result<Edits> {
        let permit: Vec<String> = permit.iter().map(|&name| name.to_owned()).collect();
        let Value::Object(changes) = changes else { panic!("no object") };
        Edits::read(&permit, &changes, unknown)
    }

    #[track_caller]
    fn check(before: Value, permit: &[&str], changes: Value, expect: &[&str], warnings: usize) {
        let edits = read(permit, changes, Unknown::Warned).unwrap();
        let after = edits.apply(&permissions::granted(&before));
        let names: Vec<String> = after
            .iter()
            .flat_map(|(category, actions)| actions.iter().map(move |action| format!("{category}.{action}")))
            .collect();
        assert_eq!(names, expect);
        assert_eq!(edits.warnings.len(), warnings, "{:?}", edits.warnings);
    }

    #[track_caller]
    fn refused(permit: &[&str], changes: Value, unknown: Unknown, kind: &str, said: &str) {
        let error = read(permit, changes, unknown).unwrap_err();
        assert_eq!(error.kind(), kind);
        let text = format!("{error} {}", error.way_out().unwrap());
        assert!(text.contains(said), "{text}");
    }

    #[test]
    fn grants_are_changed_in_the_order_of_the_keys() {
        let some = json!({"repo": ["open_pr"], "worker_session": ["compact", "stop"]});
        check(
            some.clone(),
            &[],
            json!({}),
            &["repo.open_pr", "worker_session.compact", "worker_session.stop"],
            0,
        );
        check(
            json!({}),
            &["allow_pr", "worker_compact_clear"],
            json!({}),
            &["repo.open_pr", "worker_session.clear", "worker_session.compact"],
            0,
        );
        check(
            some.clone(),
            &[],
            json!({"repo": [], "create_pr": 1, "worker_compact_clear": ""}),
            &["repo.open_pr", "worker_session.stop"],
            0,
        );
        check(
            some,
            &["repo.push_branch"],
            json!({"create_pr": true, "repo": [], "worker_session": ["approve"]}),
            &["worker_session.approve"],
            0,
        );
    }

    #[test]
    fn what_is_unknown_in_an_object_is_named() {
        check(
            json!({}),
            &[],
            json!({"repo": ["open_pr", "fly", 3], "bogus": true, "context": "all"}),
            &["repo.open_pr"],
            4,
        );
        refused(
            &[],
            json!({"bogus": true}),
            Unknown::Refused,
            "unknown_permission",
            "worker_session.(approve|",
        );
        refused(&[], json!({"repo": ["fly"]}), Unknown::Refused, "unknown_permission", "repo.fly");
        for unknown in [Unknown::Warned, Unknown::Refused] {
            refused(&["repo.fly"], json!({}), unknown, "unknown_permission", "repo.(merge_green_pr|");
            refused(&[], json!({"repo": [["open_pr"]]}), unknown, "invalid_permissions", "repo");
        }
    }
}
