//! The typed clients of `docs/clients` are what the registry gives: the mechanical part of them is written here, and
//! nowhere by hand.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

mod api;
mod page;
mod python;
mod typescript;

use std::{env, fs};

use api::Api;
use conveyor_tests::harness::workspace_root;

#[test]
fn the_generated_clients_are_up_to_date() {
    let api = Api::read();
    for (name, page) in [("conveyor.py", python::write(&api)), ("conveyor.mts", typescript::write(&api))] {
        let path = workspace_root().join("docs/clients").join(name);
        if env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, &page).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert!(written == page, "{path} is out of date: `make clients` rewrites it");
    }
}

#[test]
fn every_method_with_a_timeout_is_one_that_the_transports_know_as_a_wait() {
    let api = Api::read();
    let methods = api.namespaces.iter().flat_map(|namespace| &namespace.methods);
    let waits: Vec<&str> =
        methods.filter(|method| method.timeout.is_some()).map(|method| method.name.as_str()).collect();
    assert_eq!(waits, ["state.wait", "inbox.take"]);
}
