//! Which parts of the program may use which: read from the paths of the production code, held against a table.
//!
//! A room is a file or folder of `src`; below `verbs` each namespace is a room of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Who may use whom. A room without a line uses nobody; a room may always use what lies in it.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "lib",
        &[
            "cli",
            "complete",
            "error",
            "global",
            "guide",
            "helper",
            "program",
            "reference",
            "screen",
            "ui",
            "usage",
            "verbs",
        ],
    ),
    ("reference", &["cli", "program"]),
    ("cli", &["argv", "examples", "global", "guide", "program", "usage", "verbs"]),
    ("complete", &["error", "program"]),
    ("examples", &["program"]),
    ("guide", &["program"]),
    ("verbs", &["error", "helper", "ui"]),
    (
        EACH_NAMESPACE,
        &[
            "complete", "error", "helper", "program", "page", "redact", "screen", "service", "skills",
            "terminal", "ui", "values",
        ],
    ),
    ("verbs/pair", &["verbs/session"]),
    ("verbs/worker", &["verbs/overview", "verbs/session"]),
    ("verbs/task", &["verbs/overview"]),
    ("verbs/events", &["verbs/overview"]),
    ("helper", &["error", "global", "program", "ui"]),
    ("global", &["screen", "values"]),
    ("ui", &["error", "guide", "json", "page", "program", "screen"]),
    ("page", &["screen"]),
    ("terminal", &["error"]),
    ("values", &["error"]),
    ("error", &["program"]),
];

/// Stands for every room below `verbs`.
const EACH_NAMESPACE: &str = "verbs/*";

/// The path of a module within the crate; that of `lib.rs` is empty.
type Module = Vec<String>;

fn module(words: &[&str]) -> Module {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A place in the code that names another module.
#[derive(Debug, PartialEq, Eq)]
struct Use {
    line: usize,
    target: Module,
}

/// The files of production code, by their module.
fn sources() -> BTreeMap<Module, PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut folders) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inner = path.strip_prefix(&root).unwrap().with_extension("");
            let mut words: Module = inner.iter().map(|word| word.to_str().unwrap().to_owned()).collect();
            if words.last().is_some_and(|last| ["mod", "lib"].contains(&last.as_str())) {
                words.pop();
            }
            if !["main", "tests"].contains(&words.last().map_or("", String::as_str)) {
                found.insert(words, path);
            }
        }
    }
    assert!(found.len() > 50, "the code was found");
    found
}

/// Every module, also those that are only folders.
fn modules(sources: &BTreeMap<Module, PathBuf>) -> BTreeSet<Module> {
    sources.keys().flat_map(|words| (0..=words.len()).map(|length| words[..length].to_vec())).collect()
}

/// The text without comments, texts and test modules, each replaced by blanks, so that lines keep their numbers.
fn code_only(text: &str) -> String {
    let production = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let (mut code, mut rest) = (String::new(), production);
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == '"' {
            text_length(rest)
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
            rest[1..].find('\'').map_or(rest.len(), |end| end + 2)
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.extend(rest[..skipped].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[skipped..];
    }
    code
}

/// Length of the quoted text that `rest` begins with.
fn text_length(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return at + 1,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// Words, `::`, `{`, `}`, `,` and whatever else there is, each with its line.
fn tokens(code: &str) -> Vec<(usize, String)> {
    let mut tokens: Vec<(usize, String)> = Vec::new();
    for (line, text) in code.lines().enumerate() {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let length = match first {
                c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                ':' if rest.starts_with("::") => 2,
                c => c.len_utf8(),
            };
            if !first.is_whitespace() {
                tokens.push((line + 1, rest[..length].to_owned()));
            }
            rest = &rest[length..];
        }
    }
    tokens
}

/// What the code of a module names of the crate: by `crate::`, `super::` or `self::`, or by a module that it declares.
fn uses(of: &Module, text: &str, modules: &BTreeSet<Module>) -> Vec<Use> {
    let tokens = tokens(&code_only(text));
    let word = |at: usize| tokens.get(at).map_or("", |(_, token)| token.as_str());
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let is_first = at == 0 || word(at - 1) != "::";
        if !is_first || word(at + 1) != "::" {
            continue;
        }
        let start = match word(at) {
            "crate" => Module::new(),
            "self" => of.clone(),
            "super" => of[..of.len().saturating_sub(1)].to_vec(),
            child => {
                let declared: Module = of.iter().cloned().chain([child.to_owned()]).collect();
                if !modules.contains(&declared) {
                    continue;
                }
                declared
            }
        };
        follow(&tokens, at + 2, start, &mut found);
    }
    found
}

/// Follows a path, and into its braces; gives the token after it.
fn follow(tokens: &[(usize, String)], mut at: usize, mut path: Module, found: &mut Vec<Use>) -> usize {
    while let Some((line, token)) = tokens.get(at) {
        match token.as_str() {
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|(_, token)| token != "}") {
                    at = follow(tokens, at, path.clone(), found) + 1;
                    if tokens.get(at - 1).is_some_and(|(_, token)| token == "}") {
                        return at;
                    }
                }
                return at + 1;
            }
            "super" => {
                path.pop();
            }
            word => path.push(word.to_owned()),
        }
        if tokens.get(at + 1).is_none_or(|(_, next)| next != "::") {
            found.push(Use { line: *line, target: path });
            return at + 1;
        }
        at += 2;
    }
    at
}

/// The room in which a path ends.
fn room(path: &[String], modules: &BTreeSet<Module>) -> String {
    let known = (0..=path.len()).rev().find(|length| modules.contains(&path[..*length])).unwrap_or_default();
    match &path[..known] {
        [] => "lib".to_owned(),
        [first, second, ..] if first == "verbs" => format!("verbs/{second}"),
        [first, ..] => first.clone(),
    }
}

fn is_allowed(from: &str, to: &str) -> bool {
    let is_below = |room: &str| room.strip_prefix(from).is_some_and(|rest| rest.starts_with('/'));
    from == to
        || is_below(to)
        || ALLOWED.iter().any(|(room, used)| {
            let is_meant = *room == from || *room == EACH_NAMESPACE && from.starts_with("verbs/");
            is_meant && used.contains(&to)
        })
}

/// Every arrow of the code, with the place where it is made.
fn arrows() -> Vec<(String, String, String)> {
    let sources = sources();
    let modules = modules(&sources);
    let mut arrows = Vec::new();
    for (of, path) in &sources {
        let text = std::fs::read_to_string(path).unwrap();
        for Use { line, target } in uses(of, &text, &modules) {
            let place =
                format!("{}:{line}", path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display());
            arrows.push((room(of, &modules), room(&target, &modules), place));
        }
    }
    arrows
}

#[test]
fn each_room_uses_only_those_that_it_may() {
    let broken: Vec<String> = arrows()
        .into_iter()
        .filter(|(from, to, _)| !is_allowed(from, to))
        .map(|(from, to, place)| format!("{place}: {from} uses {to}"))
        .collect();
    assert!(broken.is_empty(), "what a verb uses knows no verbs, and so on:\n  {}", broken.join("\n  "));
}

#[test]
fn each_arrow_of_the_table_is_needed() {
    let arrows = arrows();
    for (room, used) in ALLOWED {
        for to in *used {
            let is_made = |(from, target, _): &(String, String, String)| {
                target == to && (from == room || *room == EACH_NAMESPACE && from.starts_with("verbs/"))
            };
            assert!(arrows.iter().any(is_made), "nobody needs that {room} may use {to}");
        }
    }
}

#[test]
fn the_table_has_no_circle() {
    let namespaces: Vec<&str> =
        ALLOWED.iter().map(|(room, _)| *room).filter(|room| room.starts_with("verbs/")).collect();
    let mut left: Vec<(&str, &[&str])> = ALLOWED.to_vec();
    // `verbs` uses the namespaces that it holds, and each of them what every namespace may use.
    left.push(("verbs", &namespaces));
    left.extend(
        namespaces.iter().filter(|room| **room != EACH_NAMESPACE).map(|room| (*room, &[EACH_NAMESPACE][..])),
    );
    loop {
        let before = left.len();
        let rooms: BTreeSet<&str> = left.iter().map(|(room, _)| *room).collect();
        left.retain(|(_, used)| used.iter().any(|to| rooms.contains(to)));
        if left.len() == before {
            break;
        }
    }
    assert!(left.is_empty(), "these reach each other: {left:?}");
}

#[test]
fn paths_are_found_wherever_they_stand() {
    let modules: BTreeSet<Module> =
        [&[][..], &["cli"], &["ui"], &["verbs"], &["verbs", "a"], &["verbs", "a", "b"], &["verbs", "a", "c"]]
            .into_iter()
            .map(module)
            .collect();
    let check = |of: &[&str], text: &str, expect: &[(usize, &str)]| {
        let uses = uses(&module(of), text, &modules);
        let found: Vec<(usize, String)> =
            uses.iter().map(|one| (one.line, room(&one.target, &modules))).collect();
        let expect: Vec<(usize, String)> =
            expect.iter().map(|(line, room)| (*line, (*room).to_owned())).collect();
        assert_eq!(found, expect, "{text}");
    };
    let file = &["verbs", "a", "b"];
    check(file, "//! crate::cli\nuse crate::cli::Cli;\n", &[(2, "cli")]);
    check(file, "use crate::{cli::{self, Cli},\n    ui::Ui};", &[(1, "cli"), (1, "cli"), (2, "ui")]);
    check(file, "fn f() { let _ = (\"crate::cli::x\", '\"', crate::ui::x()); }", &[(1, "ui")]);
    check(file, "use super::c::C;\nuse super::super::Verb;", &[(1, "verbs/a"), (2, "verbs")]);
    check(file, "pub(crate) fn f(x: std::cli::X) {}\n#[cfg(test)]\nmod tests {\n use crate::cli;\n}", &[]);
    check(&["verbs"], "use crate::Io;\nfn f() { a::b::run() }", &[(1, "lib"), (2, "verbs/a")]);
    check(&[], "use cli::Cli;", &[(1, "cli")]);
}
