//! The properties with inputs of proptest, and with the seeds of the fuzz targets.

use super::{line_framing, pane_classifier, rollout_line};
use proptest::collection::vec;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

#[track_caller]
fn check_seeds(target: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds").join(target);
    let seeds: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!seeds.is_empty());
    for seed in seeds {
        // If the test fails, the last line of its output names the seed.
        eprintln!("seed {}", seed.display());
        property(&fs::read(&seed).unwrap());
    }
}

#[test]
fn seeds_of_rollout_line() {
    check_seeds("rollout_line", rollout_line);
}

#[test]
fn seeds_of_line_framing() {
    check_seeds("line_framing", line_framing);
}

#[test]
fn seeds_of_pane_classifier() {
    check_seeds("pane_classifier", pane_classifier);
}

/// A head and some joined parts, one byte of which may be damaged.
fn input(parts: impl Strategy<Value = Vec<u8>>, separator: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    let head = vec(any::<u8>().prop_filter("it is no line feed", |byte| *byte != b'\n'), 0..8);
    let damage = proptest::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()));
    (head, vec(parts, 0..12), damage).prop_map(move |(head, parts, damage)| {
        let mut rest = parts.join(separator);
        if let Some((at, byte)) = damage
            && !rest.is_empty()
        {
            let at = at.index(rest.len());
            rest[at] = byte;
        }
        [head, rest].join(&b'\n')
    })
}

fn fixed(texts: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    proptest::sample::select(texts).prop_map(|text| text.as_bytes().to_vec())
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..60)
}

fn any_text() -> impl Strategy<Value = Vec<u8>> {
    any::<String>().prop_map(String::into_bytes)
}

const RECORDS: [&str; 8] = [
    r#"{"timestamp":"2026-01-31T09:30:00.000Z","type":"session_meta","payload":{"id":"t","cli_version":"0.130.0"}}"#,
    r#"{"timestamp":"2026-01-31T09:30:01.000Z","type":"event_msg","payload":{"type":"task_started","turn_id":"a"}}"#,
    r#"{"timestamp":"2026-01-31T09:30:02.000Z","type":"event_msg","payload":{"type":"user_message","message":"go"}}"#,
    r#"{"timestamp":"2026-01-31T09:30:03+01:00","type":"event_msg","payload":{"type":"task_complete","turn_id":"a","last_agent_message":null}}"#,
    r#"{"timestamp":7,"type":"event_msg","payload":{"type":"turn_aborted","turn_id":"b","reason":"interrupted"}}"#,
    r#"{"type":"event_msg","payload":{"type":"item_completed","item":{"type":"Plan"},"turn_id":"\ud800"}}"#,
    r#"{"type":"compacted","payload":{"n":[1.5e300,-0,1e999]}}"#,
    "\r",
];

const REQUESTS: [&str; 9] = [
    r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":{"a":[1]}}"#,
    r#"{"jsonrpc":"2.0","id":"x","method":"later","params":[2]}"#,
    r#"{"jsonrpc":"2.0","id":null,"method":"watch"}"#,
    r#"{"jsonrpc":"2.0","id":3,"method":"unwatch","params":{"subscription":7}}"#,
    r#"{"jsonrpc":"2.0","method":"echo"}"#,
    r#"[{"jsonrpc":"2.0","id":1,"method":"echo"},{"jsonrpc":"2.0","method":"later"},7]"#,
    r#"[{"jsonrpc":"2.0","method":"later"}]"#,
    "[1,2,3,4]",
    " \t\r",
];

const ROWS: [&str; 12] = [
    "",
    "• Working (3s • esc to interrupt)",
    "› Ask Codex to do anything",
    "! ls",
    "  a-model · ~/shop",
    "› 1. Yes, proceed",
    "  2. No (esc)",
    "  Would you like to run the following command?",
    "  Press enter to confirm or esc to cancel",
    "OpenAI Codex: approve command, allow or deny?",
    "\u{1b}[2m dim \u{1b}[0m",
    "  Browsing transcript",
];

proptest! {
    #[test]
    fn any_rollout(input in input(prop_oneof![4 => fixed(&RECORDS), 1 => any_bytes()], b"\n")) {
        rollout_line(&input);
    }

    #[test]
    fn any_bytes_of_a_client(input in input(prop_oneof![4 => fixed(&REQUESTS), 1 => any_bytes()], b"\n")) {
        line_framing(&input);
    }

    #[test]
    fn any_screen(input in input(prop_oneof![4 => fixed(&ROWS), 1 => any_text()], b"\n")) {
        pane_classifier(&input);
    }
}
