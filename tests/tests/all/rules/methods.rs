//! `docs/methods.md` is the OpenRPC document for people: the methods with their parameters and answers, and the types.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::fmt::Write as _;
use std::{env, fs};

use conveyor_proto::openrpc;
use conveyor_tests::harness::workspace_root;
use serde_json::{Map, Value};

const HEAD: &str = "\
# Methods

<!-- made of the registry; `UPDATE_DOCS=1 cargo test --workspace --locked --test all -- openrpc` rewrites it -->

What a program can ask the daemon, with parameters and answers. [The protocol](protocol.md) says how a call travels, what
errors there are and which limits hold; [openrpc.json](openrpc.json) has the same as this page for programs.

Parameters are members of one object; those in bold must be given. *Reads* changes nothing. *Again* says whether a call may
be sent again when its answer was lost ([why](protocol.md#after-a-lost-connection)): *yes*, *if* one of the conditions holds,
or *no*, with the method that shows whether it was carried out. *By* is a description: the daemon asks nobody who it is.
";

/// A text for a cell of a table, or for a line.
fn line(text: &Value) -> String {
    text.as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

fn link(name: &str) -> String {
    format!("[{name}](#{})", name.to_lowercase())
}

/// The type that a schema describes, in words.
fn type_of(schema: &Value) -> String {
    let Some(members) = schema.as_object() else { return "any value".to_owned() };
    let joined = |schemas: &Value| {
        let types: Vec<String> = schemas.as_array().unwrap().iter().map(type_of).collect();
        types.join(" or ")
    };
    if let Some(name) = members.get("$ref").and_then(Value::as_str) {
        return link(name.rsplit('/').next().unwrap());
    }
    if let Some(schemas) = members.get("allOf").or(members.get("anyOf")).or(members.get("oneOf")) {
        return joined(schemas);
    }
    if let Some(value) = members.get("const") {
        return format!("`{value}`");
    }
    match members.get("type") {
        None => "any value".to_owned(),
        Some(Value::Array(types)) => {
            let one = |name: &Value| {
                let mut single = members.clone();
                single.insert("type".to_owned(), name.clone());
                type_of(&Value::Object(single))
            };
            types.iter().map(one).collect::<Vec<_>>().join(" or ")
        }
        Some(name) => {
            match (name.as_str().unwrap(), members.get("items"), members.get("additionalProperties")) {
                ("array", Some(items), _) => format!("list of {}", type_of(items)),
                ("object", _, Some(values)) if values.is_object() => format!("object of {}", type_of(values)),
                (name, _, _) => name.to_owned(),
            }
        }
    }
}

/// The default of a parameter, if it is worth a word.
fn default_of(schema: &Value) -> String {
    match schema.get("default") {
        None | Some(Value::Null | Value::Object(_)) => String::new(),
        Some(default) => format!("; default `{default}`"),
    }
}

fn row(page: &mut String, name: &str, is_required: bool, schema: &Value) {
    let name = if is_required { format!("**`{name}`**") } else { format!("`{name}`") };
    let default = if is_required { String::new() } else { default_of(schema) };
    writeln!(page, "| {name} | {}{default} | {} |", type_of(schema), line(&schema["description"])).unwrap();
}

fn again(repeat: &Value) -> String {
    let given = |given: &Value| {
        let (word, parameter) = given.as_object().unwrap().iter().next().unwrap();
        let is_not = if word == "unset" { " is not" } else { " is" };
        format!("`{}`{is_not} set", parameter.as_str().unwrap())
    };
    let look_at = repeat["look_at"].as_str().map(|method| format!("`{method}` shows it")).unwrap_or_default();
    match repeat["safe"].as_str().unwrap() {
        "always" => "yes".to_owned(),
        "if" => {
            let any: Vec<String> = repeat["any"].as_array().unwrap().iter().map(given).collect();
            format!("if {}; else {look_at}", any.join(" or "))
        }
        _ => format!("no, {look_at}"),
    }
}

fn method(page: &mut String, method: &Value) {
    let name = method["name"].as_str().unwrap();
    let callers: Vec<&str> =
        method["x-callers"].as_array().unwrap().iter().map(|who| who.as_str().unwrap()).collect();
    let access = if method["x-access"] == "read" { "Reads" } else { "Changes something" };
    writeln!(page, "\n### {name}\n\n{}\n", line(&method["summary"])).unwrap();
    writeln!(page, "{access} · by {} · again: {}", callers.join(", "), again(&method["x-repeat"])).unwrap();
    let params = method["params"].as_array().unwrap();
    if !params.is_empty() {
        page.push_str("\n| parameter | type | meaning |\n|---|---|---|\n");
    }
    for param in params {
        row(page, param["name"].as_str().unwrap(), param["required"] == true, &param["schema"]);
    }
    let streams = method["x-subscription"] == true;
    let answer = if streams { "Answers the subscription's id, then sends" } else { "Answers" };
    writeln!(page, "\n{answer} {}.", type_of(&method["result"]["schema"])).unwrap();
}

fn fields(page: &mut String, schema: &Value) {
    let Some(properties) = schema["properties"].as_object().filter(|fields| !fields.is_empty()) else {
        return;
    };
    page.push_str("\n| key | type | meaning |\n|---|---|---|\n");
    for (name, schema) in properties {
        // Whether a key is always there counts for parameters alone; answers of newer daemons have more.
        row(page, name, false, &without_default(schema));
    }
}

fn without_default(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(members) = schema.as_object_mut() {
        members.remove("default");
    }
    schema
}

fn definition(page: &mut String, name: &str, schema: &Value) {
    writeln!(page, "\n### {name}\n\n{}", line(&schema["description"])).unwrap();
    fields(page, schema);
    let variants = schema.get("oneOf").or(schema.get("anyOf")).and_then(Value::as_array);
    let Some(variants) = variants else {
        if schema.get("properties").is_none() && schema["type"] != "object" {
            writeln!(page, "\nA {}.", type_of(&without_description(schema))).unwrap();
        }
        return;
    };
    if variants.iter().all(|variant| variant.get("const").is_some()) {
        page.push_str("\n| word | meaning |\n|---|---|\n");
        for variant in variants {
            let word = variant["const"].as_str().unwrap();
            writeln!(page, "| `{word}` | {} |", line(&variant["description"])).unwrap();
        }
        return;
    }
    for variant in variants {
        let description = line(&variant["description"]);
        if variant.get("properties").is_some() {
            writeln!(page, "\n{description}").unwrap();
            fields(page, variant);
        } else {
            writeln!(page, "\n- {} {description}", type_of(variant)).unwrap();
        }
    }
}

fn without_description(schema: &Value) -> Value {
    let mut members: Map<String, Value> = schema.as_object().cloned().unwrap_or_default();
    members.remove("description");
    Value::Object(members)
}

fn page(document: &Value) -> String {
    let methods = document["methods"].as_array().unwrap();
    let mut page = HEAD.to_owned();
    page.push_str("\n| method | |\n|---|---|\n");
    for method in methods {
        let name = method["name"].as_str().unwrap();
        let anchor = name.replace('.', "");
        writeln!(page, "| [{name}](#{anchor}) | {} |", line(&method["summary"])).unwrap();
    }
    page.push_str("\n## The methods\n");
    methods.iter().for_each(|one| method(&mut page, one));
    page.push_str("\n## The types\n");
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut names: Vec<&String> = schemas.keys().collect();
    names.sort();
    // What only carries the parameters of one method is told with the method.
    for name in names.into_iter().filter(|name| !name.trim_end_matches(char::is_numeric).ends_with("Params"))
    {
        definition(&mut page, name, &schemas[name]);
    }
    page
}

#[test]
fn the_page_of_the_openrpc_document_is_up_to_date() {
    let path = workspace_root().join("docs/methods.md");
    let page = page(&openrpc::document());
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "{path} is out of date: UPDATE_DOCS=1 rewrites it");
}
