//! What is compiled, and how often: every Rust file, one program of tests per crate, each dependency once.

#![expect(clippy::expect_used, reason = "a helper of a test fails as the test does")]

use std::collections::BTreeSet;
use std::env;
use std::process::Command;

use camino::Utf8PathBuf;
use conveyor_tests::harness::workspace_root;

use super::project::{crates, roots, rust_files};
use super::rust::{Module, files_from};

#[test]
fn no_file_is_forgotten() {
    let mut forgotten: BTreeSet<Utf8PathBuf> = rust_files().map(|(path, _)| path).collect();
    let all = forgotten.len();
    for member in crates() {
        let mut begin = member.roots();
        begin.extend(["tests", "benches"].iter().flat_map(|folder| roots(&member.folder.join(folder))));
        for file in begin.iter().flat_map(|root| files_from(root, Module::read)) {
            forgotten.remove(&file.path);
        }
    }
    // The fuzz targets are a workspace of their own.
    forgotten.retain(|path| !path.starts_with("tests/fuzz"));
    assert!(forgotten.len() < all, "the crates were read");
    assert!(forgotten.is_empty(), "no `mod` line leads to {forgotten:#?}");
}

#[test]
fn a_crate_has_one_program_of_tests() {
    let mut programs = 0;
    for member in crates() {
        let tests = roots(&member.folder.join("tests"));
        assert!(tests.len() <= 1, "each of these would be linked by itself: {tests:?}");
        assert!(!member.manifest.contains_key("test"), "{}: cargo finds it by itself", member.name());
        programs += tests.len();
    }
    assert!(programs > 0, "there are tests");
}

/// The dependencies of the whole workspace, each with its features, along edges of these kinds.
fn dependencies(kinds: &str) -> BTreeSet<String> {
    let mut tree = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    tree.args(["tree", "--workspace", "--locked", "--prefix", "none", "--format", "{p} with {f}"]);
    let output = tree.args(["--edges", kinds]).current_dir(workspace_root()).output().expect("cargo starts");
    let listed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // cargo marks a package that it has shown before with `(*)`.
    listed.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

#[test]
fn tests_ask_no_dependency_for_more_than_the_workspace_does() {
    let (build, tests) = (dependencies("normal,build"), dependencies("normal,build,dev"));
    let twice: Vec<&String> = build.difference(&tests).collect();
    assert!(build.len() > 50 && tests.len() > build.len(), "the dependencies were told");
    assert!(
        twice.is_empty(),
        "tests/Cargo.toml is to ask for the features that dev-dependencies add to these: {twice:#?}"
    );
}
