//! The examples of `docs/protocol.md` and the script of `README.md` do what these pages say.
//!
//! Each fenced block of the protocol is a connection of its own. The blocks are carried out from top to
//! bottom with one daemon. `> ` is sent, `< ` is expected. In what is expected, `"..."` stands for any value,
//! as a key for any further members, as the last item of a list for any further items. `"$name"` is
//! remembered when it is first met, and is the same value from then on, also in what is sent. Consecutive `<
//! ` lines of a `jsonl` block may come in any order.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails as the test does")]

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use conveyor_tests::harness::{PATIENCE, Running, TestEnv, skipped, standin, workspace_root};
use conveyor_tests::rollout::Format;
use serde_json::Value;

type Variables = HashMap<String, Value>;

/// A fenced block of a page.
struct Block {
    language: String,
    place: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let text = fs::read_to_string(workspace_root().join(page)).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                let place = format!("{page}:{}", number + 1);
                open = Some(Block { language: language.to_owned(), place, text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{page}: a block is not closed");
    blocks
}

/// Whether `seen` is what `expected` says. Variables that are met for the first time are remembered.
fn fits(expected: &Value, seen: &Value, variables: &mut Variables) -> bool {
    match (expected, seen) {
        (Value::String(any), _) if any == "..." => true,
        (Value::String(name), _) if name.starts_with('$') => {
            variables.entry(name.clone()).or_insert_with(|| seen.clone()) == seen
        }
        (Value::Object(expected), Value::Object(seen)) => {
            let open = expected.contains_key("...");
            let mut named = expected.iter().filter(|(key, _)| *key != "...");
            (open || seen.keys().all(|key| expected.contains_key(key)))
                && named.all(|(key, value)| seen.get(key).is_some_and(|seen| fits(value, seen, variables)))
        }
        (Value::Array(expected), Value::Array(seen)) => {
            let open = expected.last().is_some_and(|last| last == "...");
            let named = if open { &expected[..expected.len() - 1] } else { &expected[..] };
            (named.len() == seen.len() || open && named.len() < seen.len())
                && named.iter().zip(seen).all(|(expected, seen)| fits(expected, seen, variables))
        }
        _ => expected == seen,
    }
}

#[track_caller]
fn parse(text: &str, place: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{place}: no JSON ({error}): {text}"))
}

/// The same text with the variables replaced by their values.
fn filled(text: &str, variables: &Variables) -> String {
    variables
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("\"{name}\""), &value.to_string()))
}

fn run_lines(env: &TestEnv, block: &Block, variables: &mut Variables) {
    let place = &block.place;
    let mut client = env.rpc();
    let mut lines = block.text.lines().peekable();
    while lines.peek().is_some() {
        while let Some(sent) = lines.next_if(|line| line.starts_with("> ")) {
            client.send(&filled(&sent[2..], variables));
        }
        let mut expected = Vec::new();
        while let Some(wanted) = lines.next_if(|line| line.starts_with("< ")) {
            expected.push(parse(&wanted[2..], place));
        }
        assert!(!expected.is_empty(), "{place}: a line is neither sent nor expected");
        while !expected.is_empty() {
            let seen = client.receive();
            let fitting = expected.iter().position(|wanted| fits(wanted, &seen, &mut variables.clone()));
            let at = fitting.unwrap_or_else(|| panic!("{place}: came: {seen}\nexpected: {expected:#?}"));
            assert!(fits(&expected.remove(at), &seen, variables));
        }
    }
}

/// Head and body of an HTTP message, as the lines with this prefix show it.
fn http_message(block: &Block, prefix: char) -> (Vec<&str>, String) {
    let lines = block.text.lines().filter_map(|line| line.strip_prefix(prefix)).map(str::trim);
    let (mut head, mut body) = (Vec::new(), String::new());
    let mut in_body = false;
    for line in lines {
        match (in_body, line) {
            (false, "") => in_body = true,
            (false, line) => head.push(line),
            (true, line) => body.push_str(line),
        }
    }
    (head, body)
}

fn run_http(env: &TestEnv, block: &Block, variables: &mut Variables) {
    let (head, body) = http_message(block, '>');
    let (expected_head, expected_body) = http_message(block, '<');
    let mut stream = UnixStream::connect(env.socket()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = head.join("\r\n");
    let length = body.len();
    write!(stream, "{head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (seen_head, seen_body) = response.split_once("\r\n\r\n").expect("a head ends with an empty line");
    let place = &block.place;
    for line in expected_head {
        assert!(seen_head.lines().any(|seen| seen == line), "{place}: no {line:?} in\n{seen_head}");
    }
    if expected_body.starts_with(['{', '[']) {
        let seen = parse(seen_body, place);
        assert!(fits(&parse(&expected_body, place), &seen, variables), "{place}: came: {seen}");
    } else {
        assert_eq!(seen_body.trim(), expected_body, "{place}");
    }
}

/// A shell command (`$ `) and the JSON that it prints.
fn run_shell(env: &TestEnv, block: &Block, variables: &mut Variables) {
    let place = &block.place;
    let (command, expected) = block.text.split_once('\n').expect("a command and its output");
    let command = command.strip_prefix("$ ").expect("a command begins with `$ `");
    let program = command.split_whitespace().next().unwrap_or_default();
    if !is_installed(env, program) {
        skipped(&format!("with {program}"), "it is not installed");
        return;
    }
    let seen = Running::start(env.command("sh").args(["-c", command])).finish().success().json();
    assert!(fits(&parse(expected, place), &seen, variables), "{place}: came: {seen}");
}

fn is_installed(env: &TestEnv, program: &str) -> bool {
    let look = format!("command -v {program}");
    Running::start(env.command("sh").args(["-c", &look])).finish().code == Some(0)
}

#[test]
fn the_examples_of_the_protocol_hold() {
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    let mut variables = Variables::new();
    let mut kinds = BTreeSet::new();
    for block in blocks("docs/protocol.md") {
        match block.language.as_str() {
            "jsonl" => run_lines(&env, &block, &mut variables),
            "http" => run_http(&env, &block, &mut variables),
            "console" => run_shell(&env, &block, &mut variables),
            other => panic!("{}: nobody carries out a block of {other:?}", block.place),
        }
        kinds.insert(block.language);
    }
    assert_eq!(Vec::from_iter(kinds), ["console", "http", "jsonl"], "each framing has an example");
}

#[test]
fn the_script_of_the_readme_does_the_main_job() {
    let env = TestEnv::new();
    if !is_installed(&env, "python3") {
        skipped("with python3", "it is not installed");
        return;
    }
    let blocks = blocks("README.md");
    let script = blocks.iter().find(|block| block.language == "python").expect("there is a script");
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    let [worker, manager] = ["worker", "manager"].map(|name| env.start_codex(&standin(Format::New), name));
    let file = env.root().join("loop.py");
    fs::write(&file, &script.text).unwrap();
    let pids = [worker.pid.to_string(), manager.pid.to_string()];
    let output = Running::start(env.command("python3").arg(&file).args(pids)).finish().success();
    let told: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(told, ["worker_task_complete", "idle done", "delivered", "worker_task_complete", "done"]);
}

/// The error kinds that the socket itself gives, by `fault`. Those of methods are checked by
/// `conveyord/src/refusal/kind`.
fn kinds_in_code() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![workspace_root().join("conveyord/src")];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8().unwrap() {
            let path = entry.unwrap().into_path();
            if path.is_dir() {
                folders.extend((path.file_name() != Some("tests")).then_some(path));
            } else if path.extension() == Some("rs") && path.file_name() != Some("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                kinds_of(code, &mut found);
            }
        }
    }
    found
}

fn kinds_of(code: &str, found: &mut BTreeSet<String>) {
    let word_at = |rest: &str| {
        let word = rest.trim_start().strip_prefix('"')?.split_once('"')?.0;
        word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_').then(|| word.to_owned())
    };
    // fault(CODE, "kind", ...)
    let after_code = |rest: &str| word_at(rest.split_once(',')?.1);
    found.extend(code.split(" fault(").skip(1).filter_map(after_code));
    // The data of invalid parameters.
    found.extend(code.split("\"kind\":").skip(1).filter_map(word_at).filter(|word| word == "invalid_params"));
}

#[test]
fn the_protocol_lists_every_error_kind_of_the_socket() {
    let page = fs::read_to_string(workspace_root().join("docs/protocol.md")).unwrap();
    let rows = page.lines().skip_while(|line| !line.starts_with("| kind | code |"));
    let listed: BTreeSet<String> = rows
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| Some(line.split('`').nth(1)?.to_owned()))
        .collect();
    let (in_code, listed) = (kinds_in_code(), listed);
    let missing: Vec<_> = in_code.difference(&listed).collect();
    let unknown: Vec<_> = listed.difference(&in_code).collect();
    assert!(in_code.len() > 10, "the kinds were found: {in_code:?}");
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "not listed: {missing:?}; not in the code: {unknown:?}"
    );
}
