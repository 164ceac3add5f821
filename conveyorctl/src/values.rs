//! Values of arguments: words of closed sets, numbers, paths, and what counts as not given.

use crate::error::CommandError;
use camino::{Utf8Path, Utf8PathBuf};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use conveyor_proto::settings::{self, Environment};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Parses one of the words of a type that crosses the socket, so that no second enum has to name them.
pub(crate) fn word<T>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| serde_json::from_value(Value::String(word)))
}

/// Parses a number of seconds. JSON has no infinity, so the number must be finite.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err("it is not a finite number".to_owned()),
    }
}

/// Parses the JSON object that an option gives; `option` is its name for messages.
pub(crate) fn json_object(option: &str, text: &str) -> Result<Map<String, Value>, CommandError> {
    let refusal = |what: String| CommandError::failed("invalid_json", format!("{option} {what}"));
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(refusal("is no JSON object".to_owned())),
        Err(error) => Err(refusal(format!("is not JSON: {error}"))),
    }
}

/// As [`json_object`]; an empty value counts as not given.
pub(crate) fn json_object_if_given(
    option: &str,
    text: Option<&str>,
) -> Result<Option<Map<String, Value>>, CommandError> {
    given(text).map(|text| json_object(option, &text)).transpose()
}

/// The value of an option with a fall-back, where an empty value counts as not given.
pub(crate) fn given(value: Option<&str>) -> Option<String> {
    value.filter(|text| !text.is_empty()).map(str::to_owned)
}

/// An absolute path, since the daemon's current directory is not the caller's.
pub(crate) fn absolute(path: &str) -> Result<String, CommandError> {
    settings::absolute(Utf8Path::new(path))
        .map(|path| path.to_string())
        .map_err(|error| CommandError::failed("path", format!("failed to make `{path}` absolute: {error}")))
}

/// Codex's home: the one that is named, else `CODEX_HOME`, else `~/.codex`.
pub(crate) fn codex_home(
    named: Option<&str>,
    environment: &dyn Environment,
) -> Result<Utf8PathBuf, CommandError> {
    let home = given(named).or_else(|| environment.get("CODEX_HOME"));
    absolute(home.as_deref().unwrap_or("~/.codex")).map(Utf8PathBuf::from)
}

/// As [`absolute`]; an empty value counts as not given.
pub(crate) fn absolute_if_given(path: Option<&str>) -> Result<Option<String>, CommandError> {
    given(path).map(|path| absolute(&path)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_finite() {
        for (text, expect) in [("2", Some(2.0)), ("-0.5", Some(-0.5)), (" 1e1 ", Some(10.0))] {
            assert_eq!(seconds(text).ok(), expect, "{text}");
        }
        for text in ["inf", "NaN", "soon", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_object_is_json_and_no_other_value() {
        assert_eq!(json_object("--x", r#"{"a": 1}"#).unwrap()["a"], 1);
        for text in ["[1]", "{", "", r#"{"a": NaN}"#, r#"{"a": Infinity}"#] {
            let message = json_object("--x", text).unwrap_err().message;
            assert!(message.starts_with("--x is no"), "{message}");
        }
    }

    #[test]
    fn an_empty_value_is_not_given() {
        assert_eq!(given(Some("")), None);
        assert_eq!(given(None), None);
        assert_eq!(given(Some(" ")).as_deref(), Some(" "));
    }
}
