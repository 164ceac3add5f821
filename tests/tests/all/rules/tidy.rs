//! Rules of the house that a compiler does not check: each holds for every file of the project.

use std::collections::BTreeSet;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use conveyor_tests::harness::{TestEnv, workspace_root};
use serde_json::Value;

use super::project::{crates, files, rust_files};
use super::rust::{Module, files_from};

const LONGEST_FILE: usize = 600;

/// The places, as `path:line`, whose line breaks the rule.
fn places(files: impl Iterator<Item = (Utf8PathBuf, String)>, breaks: impl Fn(&str) -> bool) -> Vec<String> {
    let place =
        |path: &Utf8Path, number: usize, line: &str| format!("{path}:{}: {}", number + 1, line.trim());
    files
        .flat_map(|(path, text)| {
            let lines = text.lines().enumerate().filter(|(_, line)| breaks(line));
            lines.map(|(number, line)| place(&path, number, line)).collect::<Vec<_>>()
        })
        .collect()
}

#[track_caller]
fn check_none(places: &[String], rule: &str) {
    assert!(places.is_empty(), "{rule}:\n  {}", places.join("\n  "));
}

#[test]
fn files_are_about_one_thing() {
    let long = |(path, text): (Utf8PathBuf, String)| {
        let lines = text.lines().count();
        (lines > LONGEST_FILE).then(|| format!("{path}: {lines} lines"))
    };
    check_none(&rust_files().filter_map(long).collect::<Vec<_>>(), "split by concern what is this long");
}

/// Whether a text is a statement of SQL, or holds one.
fn is_sql(text: &str) -> bool {
    // A line that ends with a backslash goes on without its line break.
    let text = text.replace("\\\n", " ").replace("\\n", " ").to_lowercase();
    let words: Vec<&str> =
        text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty()).collect();
    let follows = |first: &[&str]| words.windows(first.len()).any(|words| words == first);
    let both = |first: &str, then: &str| {
        words.iter().position(|word| *word == first).is_some_and(|at| words[at..].contains(&then))
    };
    let begins = |first: &[&str]| words.starts_with(first);
    follows(&["insert", "into"])
        || follows(&["insert", "or"])
        || follows(&["delete", "from"])
        || follows(&["create", "table"])
        || follows(&["drop", "table"])
        || follows(&["alter", "table"])
        || follows(&["create", "index"])
        || follows(&["create", "unique", "index"])
        || follows(&["create", "trigger"])
        || follows(&["create", "virtual", "table"])
        || follows(&["replace", "into"])
        || begins(&["begin", "immediate"])
        || begins(&["savepoint"])
        || begins(&["vacuum"])
        || begins(&["attach", "database"])
        || begins(&["pragma"])
        || both("select", "from")
        || both("update", "set")
}

#[test]
fn sql_stands_in_the_store_only() {
    let mut found = Vec::new();
    // The harness of the tests looks into the database that the daemon has written.
    let programs = crates().into_iter().filter(|member| member.name() != "conveyor-tests");
    let roots: Vec<Utf8PathBuf> = programs.flat_map(|member| member.roots()).collect();
    for file in roots.iter().flat_map(|root| files_from(root, Module::read_production)) {
        if file.path.starts_with("conveyord/src/store") {
            continue;
        }
        let sql = file.holds.texts.into_iter().filter(|(_, text)| is_sql(text));
        found.extend(sql.map(|(line, text)| format!("{}:{line}: {}", file.path, text.trim())));
    }
    check_none(&found, "SQL belongs into conveyord/src/store");
}

#[test]
fn sql_is_known_however_it_is_written() {
    for sql in [
        "select id from tasks where name = ?1",
        "SELECT count(*) FROM tasks",
        "\n            select id,\n                   name\n            from tasks",
        "select id, \\\n     name from tasks",
        "insert into tasks (id) values (?1)",
        "insert or ignore into tasks values (1)",
        "update tasks\n set state = 'done'",
        "delete from {table}",
        "create table x (y)",
        "pragma user_version",
        "with open as (select * from tasks) select 1",
    ] {
        assert!(is_sql(sql), "{sql}");
    }
    for text in
        ["tasks", "selected", "a selection from the list", "the update", "select one", "no pragma here"]
    {
        assert!(!is_sql(text), "{text}");
    }
}

#[test]
fn no_path_of_a_developers_machine() {
    // The invented user names of examples and fixtures.
    let invented = ["user", "me", "someone"];
    let in_a_home = |rest: &str| {
        let user = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        !user.is_empty() && !invented.contains(&user)
    };
    // A path begins where no other path goes on: `tests/src` does not name a folder `/src`.
    let begins =
        |line: &str, at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-~}".contains(c));
    let named = |line: &str| {
        let here = format!("{}/", workspace_root());
        let homes = ["/home/", "/Users/", "/root/"];
        line.match_indices(&here).any(|(at, _)| begins(line, at))
            || homes.iter().any(|home| {
                let mut found = line.match_indices(home);
                found.any(|(at, _)| begins(line, at) && in_a_home(&line[at + home.len()..]))
            })
    };
    check_none(&places(files().into_iter(), named), "say it without a path of one machine");
}

#[test]
fn no_program_is_run_that_a_small_system_lacks() {
    // Debian's procps, which a minimal Debian does not have. A shell has a `kill` of its own, and macOS its /bin/ps.
    let procps =
        ["kill", "pgrep", "pkill", "ps", "free", "pmap", "sysctl", "top", "uptime", "vmstat", "w", "watch"];
    let runs = |line: &str| {
        procps.iter().any(|name| {
            line.contains(&format!("Command::new(\"{name}\")"))
                || line.contains(&format!(".command(\"{name}\")"))
        })
    };
    check_none(&places(rust_files(), runs), "send a signal by nix or rustix, and read /proc");
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    let silenced =
        |line: &str| line.trim_start().starts_with("#[allow(") || line.trim_start().starts_with("#![allow(");
    check_none(&places(rust_files(), silenced), "use #[expect(..., reason = \"...\")]");
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];
    let left = |line: &str| marks.iter().any(|mark| line.contains(mark));
    check_none(&places(rust_files(), left), "do it, or open an issue");
}

#[test]
fn the_recorded_session_can_be_played_and_has_no_text_of_codex() {
    let read = |path: &str| fs::read_to_string(workspace_root().join(path)).expect("it is in the repository");
    let (cast, page) = (read("docs/session.cast"), read("docs/session.md"));
    let mut lines = cast.lines().map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
    assert_eq!(lines.next().expect("a head")["version"], 2);
    let (mut last, mut shown) = (0.0, String::new());
    for event in lines {
        let at = event[0].as_f64().expect("a time");
        assert!(at >= last && event[1] == "o", "{event}");
        last = at;
        shown.push_str(event[2].as_str().expect("a text"));
    }
    assert!(
        shown.contains("finished the task") && page.contains("finished the task"),
        "the session came to its end"
    );
    for drawn in ["OpenAI Codex", "esc to interrupt", "Ask Codex", "Would you like", "Yes, proceed"] {
        assert!(!shown.contains(drawn) && !page.contains(drawn), "{drawn:?} is Codex's own text");
    }
}

#[test]
fn the_workflows_run_what_everybody_can_run() {
    let read = |path: &str| fs::read_to_string(workspace_root().join(path)).expect("it is in the repository");
    let (makefile, workflow) = (read("Makefile"), read(".github/workflows/ci.yml"));
    let steps: Vec<&str> = workflow.lines().filter_map(|line| line.trim().strip_prefix("- run: ")).collect();
    assert!(steps.contains(&"./setup") && steps.contains(&"make test"), "{steps:?}");
    for step in steps {
        let target = step.strip_prefix("make ");
        let exists = target.map_or_else(
            || workspace_root().join(step).is_file(),
            |target| makefile.contains(&format!("\n{target}:")),
        );
        assert!(exists, "{step} is neither a script of ours nor a target of the Makefile");
    }
    assert!(read(".github/ISSUE_TEMPLATE/bug.yml").contains("conveyorctl doctor --report"));
}

#[test]
fn the_readme_names_commands_that_exist() {
    let readme = fs::read_to_string(workspace_root().join("README.md")).expect("there is a README");
    let makefile = fs::read_to_string(workspace_root().join("Makefile")).expect("there is a Makefile");
    let env = TestEnv::new();
    let (mut verbs, mut targets) = (BTreeSet::new(), BTreeSet::new());
    let mut in_code = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            in_code = !in_code;
        } else if in_code {
            let words: Vec<&str> = line.trim_start_matches("$ ").split_whitespace().collect();
            match words[..] {
                ["make" | "./setup", target, ..] => targets.extend([target]),
                ["conveyorctl" | "conveyor", verb, ..] if !verb.starts_with('-') => verbs.extend([verb]),
                _ => {}
            }
        }
    }
    assert!(!verbs.is_empty() && targets.contains("test"), "the README shows how to use and test it");
    for target in targets {
        assert!(
            makefile.contains(&format!("\n{target}:")),
            "the README names `make {target}`, the Makefile does not"
        );
    }
    for verb in verbs {
        let _ = env.conveyorctl(&[verb, "--help"]).success();
    }
}
