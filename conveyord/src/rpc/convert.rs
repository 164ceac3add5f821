//! Conversion between JSON-RPC and the domain: parameters on the way in, errors on the way out.

use super::Answer;
use crate::{error::Error, refusal::Kind};
use conveyor_proto::{
    ErrorClass,
    limits::{MAX_PAYLOAD_BYTES, MAX_TEXT_BYTES},
};
use jsonrpsee::types::{ErrorObjectOwned, Params, error::INVALID_PARAMS_CODE};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Reads the parameters object. A call without parameters counts as an empty object.
pub(super) fn params<T: DeserializeOwned>(params: &Params<'_>) -> Answer<T> {
    let text = match params.as_str().map(str::trim) {
        None | Some("" | "null" | "[]") => "{}",
        Some(text) => text,
    };
    if text.starts_with('[') {
        return Err(invalid("parameters travel by name: send an object"));
    }
    if text.len() > MAX_TEXT_BYTES {
        check_sizes(text)?;
    }
    if has_nul(text) {
        return Err(invalid("a text has a NUL character"));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (field, why) = (error.path().to_string(), error.inner());
        // The object itself has no name; what is wrong with it names the field.
        invalid(&if field == "." { why.to_string() } else { format!("`{field}`: {why}") })
    })?;
    json.end().map_err(|error| invalid(&error.to_string()))?;
    Ok(read)
}

/// Refuses texts and values that are too large to be stored and listed, whatever they are for.
fn check_sizes(text: &str) -> Answer<()> {
    let fields: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| invalid(&error.to_string()))?;
    let is_long = |value: &Value| value.as_str().is_some_and(|text| text.len() > MAX_TEXT_BYTES);
    for (field, value) in &fields {
        let items = value.as_array().map_or(&[][..], Vec::as_slice);
        let (kind, what, most) = if is_long(value) || items.iter().any(is_long) {
            let kind = if field == "message" { Kind::MessageTooLong } else { Kind::TextTooLong };
            (kind, "a text", MAX_TEXT_BYTES)
        } else if value.to_string().len() > MAX_PAYLOAD_BYTES {
            (Kind::PayloadTooLarge, "JSON", MAX_PAYLOAD_BYTES)
        } else {
            continue;
        };
        let message = format!("`{field}` is too long: {what} may have at most {most} bytes");
        let refusal = Error::invalid(kind, message).hint("put the text into a file and name the file");
        return Err(error("the reading of parameters", &refusal));
    }
    Ok(())
}

/// Whether a text in this JSON has a NUL character. SQLite, paths and programs' arguments end there, so that what is
/// checked would not be what is used. JSON has it only in this form.
fn has_nul(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        // A backslash before it may be an escaped one, behind which `u0000` is text.
        let before = json[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
        before % 2 == 0
    })
}

fn invalid(what: &str) -> ErrorObjectOwned {
    let data = json!({ "kind": "invalid_params", "hint": "rpc.discover describes every method" });
    ErrorObjectOwned::owned(INVALID_PARAMS_CODE, format!("the parameters are not valid: {what}"), Some(data))
}

/// The JSON-RPC error for an error of the domain. Faults of the daemon are logged too, since the caller
/// cannot repair them.
pub(super) fn error(method: &str, error: &Error) -> ErrorObjectOwned {
    let class = error.class();
    if class == ErrorClass::Internal {
        tracing::error!(method, error = %chain(error), "a request failed inside the daemon");
    }
    let mut data = Map::from_iter([("kind".to_owned(), Value::from(error.kind().as_str()))]);
    if let Some(hint) = error.way_out() {
        data.insert("hint".to_owned(), Value::from(hint));
    }
    if let Error::Refused(refusal) | Error::Ingest(refusal) = error
        && let Some(Value::Object(facts)) = &refusal.data
    {
        data.extend(facts.clone());
    }
    ErrorObjectOwned::owned(class.code(), chain(error), Some(Value::Object(data)))
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{has_nul, params};
    use conveyor_proto::types::{dispatch::DispatchParams, overview::OverviewParams};
    use jsonrpsee::types::Params;

    #[test]
    fn what_is_wrong_with_a_parameter_names_it() {
        let message = |text| match params::<OverviewParams>(&Params::new(Some(text))) {
            Err(error) => error.message().to_owned(),
            Ok(read) => panic!("{text} gave {read:?}"),
        };
        let expect = "the parameters are not valid: `task`: invalid type: integer `5`, expected a string";
        assert!(message(r#"{"task":5}"#).starts_with(expect));
        let expect = "the parameters are not valid: `caller.pid`: invalid type: string \"x\"";
        assert!(message(r#"{"caller":{"pid":"x"}}"#).starts_with(expect));
        assert!(message(r#"{"tsk":"t"}"#).contains("unknown field `tsk`"));
        assert!(params::<DispatchParams>(&Params::new(Some("{} 1"))).is_err());
    }

    #[test]
    fn a_nul_is_found_in_its_only_form() {
        for text in [r#"{"a":"\u0000"}"#, r#"{"a":"b\\\u0000"}"#, r#"{"\u0000":1}"#] {
            assert!(has_nul(text), "{text}");
        }
        for text in [r#"{"a":"\\u0000"}"#, r#"{"a":"u0000"}"#, r#"{"a":"\u0001"}"#] {
            assert!(!has_nul(text), "{text}");
        }
    }
}
