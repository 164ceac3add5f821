//! The policy in a loop run: how many iterations it allows, and what each iteration must prove first.

use super::LOOP;
use crate::error::{Error, Result};
use crate::refusal::Kind;
use serde_json::{Map, Value, json};

/// The policy keys that a caller may give. Other keys are kept under `extra`.
const GIVEN: [&str; 7] = [
    "cleanup_policy",
    "current_iteration",
    "max_iterations",
    "preset",
    "required_before_continue",
    "seed_prompt_sha256",
    "stop_conditions",
];

/// Builds the metadata of a loop run from what a caller gave.
///
/// # Errors
/// `invalid_policy`.
pub fn of(purpose: Option<&str>, mut given: Map<String, Value>) -> Result<Value> {
    let max = iteration(&given, "max_iterations")?.ok_or_else(|| {
        invalid("a loop run needs max_iterations").hint(r#"--metadata-json '{"max_iterations": 3}'"#)
    })?;
    let current = iteration(&given, "current_iteration")?.unwrap_or(0);
    if max < 1 {
        return Err(invalid(format!("max_iterations is {max}: it must be at least 1")));
    }
    if !(0..=max).contains(&current) {
        return Err(invalid(format!("current_iteration is {current}: it must be between 0 and {max}")));
    }
    let required = evidence(given.get("required_before_continue"))?;
    let mut taken = GIVEN.map(|key| given.remove(key).unwrap_or_default());
    let [cleanup, _, _, preset, _, seed, stop] = &mut taken;
    let stop = if stop.is_array() { stop.take() } else { json!([]) };
    let mut policy = json!({
        "cleanup_policy": cleanup.take(),
        "current_iteration": current,
        "kind": LOOP,
        "max_iterations": max,
        "policy_record": true,
        "preset": preset.take(),
        "required_before_continue": required,
        "seed_prompt_sha256": seed.take(),
        "stop_conditions": stop,
    });
    let mut extra = given;
    extra.retain(|key, value| key != "policy_record" && (key != "kind" || value != LOOP));
    if let Some(purpose) = purpose.filter(|purpose| *purpose != LOOP) {
        extra.entry("purpose").or_insert_with(|| purpose.into());
    }
    if !extra.is_empty() {
        policy["extra"] = Value::Object(extra);
    }
    Ok(policy)
}

/// Reads a whole number, given as a number or as text.
fn iteration(given: &Map<String, Value>, key: &str) -> Result<Option<i64>> {
    let number = match given.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    number.map(Some).ok_or_else(|| invalid(format!("{key} is no whole number")))
}

/// Reads the names of the evidence that each iteration needs, trimmed.
fn evidence(given: Option<&Value>) -> Result<Vec<String>> {
    const WHAT: &str = "required_before_continue";
    let entries = match given {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err(invalid(format!("{WHAT} is no array"))),
    };
    let name = |entry: &Value| {
        let text = entry.as_str().map(str::trim).filter(|text| !text.is_empty());
        text.map(str::to_owned)
            .ok_or_else(|| invalid(format!("{WHAT} has an entry that is blank or no text")))
    };
    entries.iter().map(name).collect()
}

fn invalid(message: impl Into<String>) -> Error {
    Error::invalid(Kind::InvalidPolicy, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(purpose: Option<&str>, given: Value) -> Result<Value> {
        let Value::Object(given) = given else { panic!("no object") };
        of(purpose, given)
    }

    #[track_caller]
    fn check(purpose: Option<&str>, given: Value, changes: Value) {
        let mut expect = json!({
            "cleanup_policy": null, "current_iteration": 0, "kind": "ralph_loop", "max_iterations": 3,
            "policy_record": true, "preset": null, "required_before_continue": [], "seed_prompt_sha256": null,
            "stop_conditions": [],
        });
        for (key, value) in changes.as_object().unwrap() {
            expect[key] = value.clone();
        }
        assert_eq!(policy(purpose, given).unwrap(), expect);
    }

    #[track_caller]
    fn refused(given: Value, said: &str) {
        let error = policy(Some(LOOP), given).unwrap_err();
        assert_eq!(
            (error.kind().as_str(), error.to_string().contains(said)),
            ("invalid_policy", true),
            "{error}"
        );
    }

    #[test]
    fn what_is_given_is_taken_over() {
        check(Some(LOOP), json!({"max_iterations": 3}), json!({}));
        check(
            Some(LOOP),
            json!({
                "max_iterations": "3", "current_iteration": " 1 ", "required_before_continue": [" ci_green ", "merge"],
                "cleanup_policy": "clear", "stop_conditions": ["x"], "seed_prompt_sha256": "ab", "preset": "p",
            }),
            json!({
                "current_iteration": 1, "required_before_continue": ["ci_green", "merge"], "cleanup_policy": "clear",
                "stop_conditions": ["x"], "seed_prompt_sha256": "ab", "preset": "p",
            }),
        );
        check(
            None,
            json!({
                "kind": LOOP, "max_iterations": 3, "stop_conditions": "x", "required_before_continue": null,
                "policy_record": false,
            }),
            json!({}),
        );
    }

    #[test]
    fn what_a_policy_does_not_know_is_kept_apart() {
        check(
            Some("nightly"),
            json!({"kind": LOOP, "max_iterations": 3, "ticket": 7}),
            json!({"extra": {"purpose": "nightly", "ticket": 7}}),
        );
        check(Some(LOOP), json!({"max_iterations": 3, "kind": "odd"}), json!({"extra": {"kind": "odd"}}));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        refused(json!({}), "needs max_iterations");
        refused(json!({"max_iterations": "lots"}), "no whole number");
        refused(json!({"max_iterations": true}), "no whole number");
        refused(json!({"max_iterations": 2.9}), "no whole number");
        refused(json!({"max_iterations": 0}), "at least 1");
        refused(json!({"max_iterations": 1, "current_iteration": 2}), "between 0 and 1");
        refused(json!({"max_iterations": 1, "current_iteration": -1}), "between 0 and 1");
        refused(json!({"max_iterations": 1, "required_before_continue": "ci"}), "no array");
        refused(json!({"max_iterations": 1, "required_before_continue": ["ci", " "]}), "blank");
        refused(json!({"max_iterations": 1, "required_before_continue": [1]}), "blank");
    }
}
