//! Rules of the house that a compiler does not check: each holds for every file of the project.
#![expect(clippy::expect_used, reason = "a helper of a test fails as the test does")]

use std::collections::BTreeSet;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use conveyor_tests::harness::{TestEnv, workspace_root};

const LONGEST_FILE: usize = 600;

/// All text files of the project, by their path within it.
fn files() -> Vec<(Utf8PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![workspace_root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8().expect("the project is readable") {
            let path = entry.expect("the project is readable").into_path();
            let name = path.file_name().expect("an entry has a name");
            if path.is_dir() {
                // Built things and git's own are not the project's text.
                if !["target", ".git", "node_modules"].contains(&name) {
                    folders.push(path);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                let inner = path.strip_prefix(workspace_root()).expect("it lies within").to_owned();
                found.push((inner, text));
            }
        }
    }
    assert!(found.len() > 50, "the project was found");
    found
}

fn rust_files() -> impl Iterator<Item = (Utf8PathBuf, String)> {
    files().into_iter().filter(|(path, _)| path.extension() == Some("rs"))
}

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

#[test]
fn sql_stands_in_the_store_only() {
    let outside = rust_files().filter(|(path, _)| {
        let programs = ["conveyord/src", "conveyorctl/src", "proto/src"];
        programs.iter().any(|folder| path.starts_with(folder)) && !path.starts_with("conveyord/src/store")
    });
    let statement = |line: &str| {
        let has = |word: &str| line.contains(word);
        let code = !line.trim_start().starts_with("//");
        code && (has("INSERT INTO ") || has("DELETE FROM ") || has("CREATE TABLE ") || has("PRAGMA "))
            || code && has("SELECT ") && has(" FROM ")
            || code && has("UPDATE ") && has(" SET ")
    };
    check_none(&places(outside, statement), "SQL belongs into conveyord/src/store");
}

#[test]
fn no_path_of_a_developers_machine() {
    // The invented users of examples and fixtures.
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
                ["make", target, ..] => targets.extend([target]),
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
