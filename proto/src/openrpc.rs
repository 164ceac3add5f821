//! The OpenRPC document, derived from the registry (`rpc.discover`, `docs/openrpc.json`).

mod titles;

use crate::{
    ErrorClass,
    method::{MethodInfo, Repeat},
    registry,
};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use titles::{Titles, pascal_case};

/// The protocol's major version: a client with another one is refused.
pub const PROTOCOL_MAJOR: u32 = 1;
/// The protocol's minor version: grows with additions.
pub const PROTOCOL_MINOR: u32 = 2;

/// The document that describes every method.
#[must_use]
pub fn document() -> Value {
    let registered = registry::all();
    // Of parameters it counts what may be left out, of results what is always there.
    let mut params = settings().into_generator();
    let mut results = settings().for_serialize().into_generator();
    let types: Vec<[Value; 2]> = registered
        .iter()
        .map(|info| [(info.params)(&mut params).to_value(), (info.result)(&mut results).to_value()])
        .collect();
    // Only what is taken says what it says in the words of draft 7.
    let mut schemas = params.take_definitions(true);
    schemas.extend(results.take_definitions(true));
    let mut titles = Titles::beside(schemas.keys(), registered.iter().map(|info| info.name));
    let methods: Vec<Value> = registered
        .iter()
        .zip(types)
        .map(|(info, [params, result])| method(info, &params, result, &schemas, &mut titles))
        .collect();
    for (name, schema) in &mut schemas {
        titles.component(name, schema);
    }
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "Conveyor",
            "description": "The daemon's methods. The socket speaks newline-delimited JSON-RPC 2.0, \
                HTTP POST and WebSocket; see docs/protocol.md.",
            "version": format!("{PROTOCOL_MAJOR}.{PROTOCOL_MINOR}.0"),
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "methods": methods,
        "components": { "schemas": schemas, "errors": errors() },
    })
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft07().with(|settings| settings.definitions_path = "/components/schemas".into())
}

fn method(
    info: &MethodInfo,
    params: &Value,
    mut result: Value,
    schemas: &Map<String, Value>,
    titles: &mut Titles,
) -> Value {
    let mut object = Map::new();
    object.insert("name".into(), info.name.into());
    object.insert("summary".into(), info.summary.into());
    object.insert("paramStructure".into(), "by-name".into());
    object.insert("params".into(), content_descriptors(info.name, params, schemas, titles));
    let result_name = if info.subscription { "item" } else { "result" };
    titles.inline(&place(info.name, result_name), &mut result);
    object.insert("result".into(), json!({ "name": result_name, "schema": result }));
    object.insert("x-access".into(), json!(info.access));
    object.insert("x-repeat".into(), repeat(info.repeat));
    object.insert("x-callers".into(), json!(info.callers));
    if info.subscription {
        object.insert("x-subscription".into(), true.into());
    }
    object.insert("errors".into(), error_references());
    Value::Object(object)
}

/// What a parameter or result of a method is called.
fn place(method: &str, role: &str) -> String {
    pascal_case(method) + &pascal_case(role)
}

/// Whether a client may send the request again when its answer was lost; see docs/protocol.md.
fn repeat(repeat: Repeat) -> Value {
    let mut told = match repeat {
        Repeat::Always => json!({ "safe": "always" }),
        Repeat::If { any, .. } => json!({ "safe": "if", "any": any }),
        Repeat::Never { .. } => json!({ "safe": "never" }),
    };
    if let Some(method) = repeat.look_at() {
        told["look_at"] = method.into();
    }
    told
}

/// OpenRPC lists parameters one by one: the properties of the parameters object.
fn content_descriptors(
    method: &str,
    params: &Value,
    schemas: &Map<String, Value>,
    titles: &mut Titles,
) -> Value {
    let definition = params
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| reference.rsplit('/').next())
        .and_then(|name| schemas.get(name))
        .unwrap_or(params);
    let required: Vec<&str> = definition
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let empty = Map::new();
    let properties = definition.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let mut descriptors: Vec<Value> = properties
        .iter()
        .map(|(name, schema)| {
            let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            let mut schema = schema.clone();
            titles.inline(&place(method, name), &mut schema);
            json!({
                "name": name,
                "description": description,
                "required": required.contains(&name.as_str()),
                "schema": schema,
            })
        })
        .collect();
    // OpenRPC wants the required parameters first.
    descriptors.sort_by_key(|d| d["required"] != true);
    Value::Array(descriptors)
}

const CLASSES: [(ErrorClass, &str, &str); 6] = [
    (ErrorClass::NotFound, "NotFound", "what was named does not exist"),
    (ErrorClass::Conflict, "Conflict", "the present state does not allow it"),
    (ErrorClass::Refused, "Refused", "a rule or permission forbids it"),
    (ErrorClass::Invalid, "Invalid", "the input is not valid"),
    (ErrorClass::Unavailable, "Unavailable", "something that is needed is not there now"),
    (ErrorClass::Internal, "Internal", "a fault of the daemon"),
];

fn errors() -> Value {
    let errors = CLASSES.iter().map(|(class, name, message)| {
        let error = json!({ "code": class.code(), "message": message,
            "data": { "kind": "a stable snake_case word", "hint": "the way out, when there is one" } });
        ((*name).to_owned(), error)
    });
    Value::Object(errors.collect())
}

fn error_references() -> Value {
    CLASSES.iter().map(|(_, name, _)| json!({ "$ref": format!("#/components/errors/{name}") })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_of_parameters_and_results_is_one_type() {
        let (mut params, mut results) =
            (settings().into_generator(), settings().for_serialize().into_generator());
        for info in registry::all() {
            (info.params)(&mut params);
            (info.result)(&mut results);
        }
        let (params, results) = (params.take_definitions(true), results.take_definitions(true));
        let both: Vec<&String> = params.keys().filter(|name| results.contains_key(*name)).collect();
        assert!(both.contains(&&"Role".to_owned()), "{both:?}");
        for name in both {
            assert_eq!(params[name], results[name], "{name} cannot stand for both");
        }
    }
}
