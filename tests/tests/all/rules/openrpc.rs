//! `docs/openrpc.json` is the document that the code derives, it is a valid OpenRPC document, and the daemon
//! answers every method that it names. `rpc::answers` checks that the answers are as the document says.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::collections::BTreeSet;
use std::{env, fs};

use conveyor_proto::{openrpc, registry};
use conveyor_tests::harness::{TestEnv, workspace_root};
use serde_json::{Value, json};

const UNKNOWN_METHOD: i64 = -32601;

/// The document with two-space indentation and sorted keys, as `conveyorctl rpc schema` prints it.
fn page(document: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by_key(|(key, _)| key.as_str());
                members.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect()
            }
            Value::Array(items) => items.iter().map(sorted).collect(),
            other => other.clone(),
        }
    }
    format!("{:#}\n", sorted(document))
}

fn names(document: &Value) -> BTreeSet<&str> {
    let methods = document["methods"].as_array().unwrap();
    methods.iter().map(|method| method["name"].as_str().unwrap()).collect()
}

#[test]
fn the_document_is_up_to_date() {
    let path = workspace_root().join("docs/openrpc.json");
    let page = page(&openrpc::document());
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let mend = "`make clients` rewrites it";
    assert!(written == page, "{path} is out of date: {mend}");
}

/// A JSON file of `tests/fixtures/openrpc`.
fn meta_schema(name: &str) -> Value {
    let path = workspace_root().join("tests/fixtures/openrpc").join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_document_is_valid_openrpc() {
    // The schema is referred to with and without the slash at the end.
    let json_schema = || meta_schema("json-schema.json");
    let schemas = jsonschema::Registry::new()
        .add("https://meta.json-schema.tools", json_schema())
        .and_then(|registry| registry.add("https://meta.json-schema.tools/", json_schema()))
        .and_then(|registry| registry.prepare())
        .unwrap();
    let validator = jsonschema::options()
        .with_draft(jsonschema::Draft::Draft7)
        .with_registry(&schemas)
        .build(&meta_schema("openrpc.json"))
        .unwrap();
    let document = openrpc::document();
    let wrong: Vec<String> =
        validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut broken = document;
    broken["methods"][0]["params"][0]["required"] = "perhaps".into();
    assert!(!validator.is_valid(&broken), "the meta-schema is looked into");
}

/// The schema and all that stand in it. A reference is none, and what is `true` or `false` is not either.
fn schemas_in<'a>(schema: &'a Value, found: &mut Vec<&'a Value>) {
    if !schema.is_object() || schema.get("$ref").is_some() {
        return;
    }
    found.push(schema);
    for list in ["anyOf", "oneOf"] {
        schema[list].as_array().into_iter().flatten().for_each(|inner| schemas_in(inner, found));
    }
    schema["properties"]
        .as_object()
        .into_iter()
        .flat_map(|all| all.values())
        .for_each(|inner| schemas_in(inner, found));
    ["items", "additionalProperties"].iter().for_each(|key| schemas_in(&schema[key], found));
}

#[test]
fn every_schema_has_a_title_of_its_own() {
    let document = openrpc::document();
    let mut found = Vec::new();
    for method in document["methods"].as_array().unwrap() {
        let params = method["params"].as_array().unwrap().iter();
        params.chain([&method["result"]]).for_each(|described| schemas_in(&described["schema"], &mut found));
    }
    for schema in document["components"]["schemas"].as_object().unwrap().values() {
        schemas_in(schema, &mut found);
    }
    assert!(found.len() > 1000, "the schemas were found");
    // Generators make functions of the methods beside the types.
    let function = |name: &str| name.replace(['.', '_'], "");
    let methods: BTreeSet<String> = names(&document).into_iter().map(function).collect();
    let mut titles = BTreeSet::new();
    let mut wrong = Vec::new();
    for schema in found {
        let title = schema["title"].as_str().unwrap_or_default();
        let is_name = title.starts_with(|c: char| c.is_ascii_uppercase())
            && title.chars().all(|c| c.is_ascii_alphanumeric());
        let is_null = title == "Null" && schema["type"] == "null";
        if !is_name || methods.contains(&title.to_lowercase()) || !is_null && !titles.insert(title) {
            wrong.push(format!("{title:?}: {schema}"));
        }
    }
    // What a number tells apart is told by nothing else.
    for title in &titles {
        let without = title.trim_end_matches(|c: char| c.is_ascii_digit());
        if without != *title && titles.contains(without) {
            wrong.push(format!("{title:?} has the name of another and a number"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                let target = members.get("$ref").and_then(Value::as_str);
                found.extend(target.map(str::to_owned));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = openrpc::document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 10, "the references were found");
    found.retain(|target| {
        let pointer = target.strip_prefix('#');
        pointer.and_then(|pointer| document.pointer(pointer)).is_none()
    });
    assert_eq!(found, BTreeSet::new());
}

#[test]
fn the_daemon_has_the_methods_of_the_registry() {
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    let mut client = env.rpc();
    let told = client.call("rpc.discover", &json!({})).unwrap();
    let declared: BTreeSet<&str> = registry::all().iter().map(|method| method.name).collect();
    assert_eq!(names(&told), declared);
    // With a parameter that none of them takes, no method does anything: those without parameters
    // refuse it too.
    for method in declared {
        let answer = client.call(method, &json!({ "no_such_parameter": true }));
        let code = answer.unwrap_err()["code"].as_i64();
        assert!(code.is_some_and(|code| code != UNKNOWN_METHOD), "{method} is not served: {code:?}");
    }
    let made_up = client.call("task.invent", &json!({})).unwrap_err();
    assert_eq!(made_up["code"], UNKNOWN_METHOD);
}
