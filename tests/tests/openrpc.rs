//! `docs/openrpc.json` is the document that the code derives, and the daemon answers every method that
//! it names.
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
    let mend = "`UPDATE_DOCS=1 cargo test -p conveyor-tests --test openrpc` rewrites it";
    assert!(written == page, "{path} is out of date: {mend}");
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
