//! The project as it lies on the disk: its files, and the crates of its workspace.

#![expect(clippy::expect_used, reason = "a helper of a test fails as the test does")]

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use conveyor_tests::harness::workspace_root;
use toml::{Table, Value};

/// All text files of the project, by their path within it.
pub(super) fn files() -> Vec<(Utf8PathBuf, String)> {
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
    found.sort();
    found
}

pub(super) fn rust_files() -> impl Iterator<Item = (Utf8PathBuf, String)> {
    files().into_iter().filter(|(path, _)| path.extension() == Some("rs"))
}

pub(super) fn read(path: &Utf8Path) -> String {
    fs::read_to_string(workspace_root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A crate of the workspace.
pub(super) struct Crate {
    /// The folder's path within the project.
    pub(super) folder: Utf8PathBuf,
    pub(super) manifest: Table,
}

impl Crate {
    pub(super) fn name(&self) -> &str {
        self.manifest["package"]["name"].as_str().expect("a package has a name")
    }

    /// The roots of its library and its programs.
    pub(super) fn roots(&self) -> Vec<Utf8PathBuf> {
        let mut found = roots(&self.folder.join("src/bin"));
        let here = ["src/lib.rs", "src/main.rs"].map(|root| self.folder.join(root));
        found.extend(here.into_iter().filter(|root| workspace_root().join(root).exists()));
        found
    }

    /// All crates that it depends on, for whatever target and purpose.
    pub(super) fn dependencies(&self) -> Vec<&str> {
        fn collect<'a>(table: &'a Table, found: &mut Vec<&'a str>) {
            for (key, value) in table {
                let Value::Table(inner) = value else { continue };
                if key.ends_with("dependencies") {
                    found.extend(inner.iter().map(|(name, how)| {
                        // The dependency may go by another name here.
                        how.get("package").and_then(Value::as_str).unwrap_or(name)
                    }));
                } else {
                    collect(inner, found);
                }
            }
        }
        let mut found = Vec::new();
        collect(&self.manifest, &mut found);
        found
    }
}

/// The crates of the workspace.
pub(super) fn crates() -> Vec<Crate> {
    let manifest = |folder: &Utf8Path| read(&folder.join("Cargo.toml")).parse().expect("it is TOML");
    let workspace: Table = manifest(Utf8Path::new(""));
    let members = workspace["workspace"]["members"].as_array().expect("a workspace has members");
    let folders = members.iter().map(|member| Utf8PathBuf::from(member.as_str().expect("a folder")));
    folders.map(|folder| Crate { manifest: manifest(&folder), folder }).collect()
}

/// The files that cargo begins with in a folder of tests, benches or programs: `NAME.rs`, and `NAME/main.rs`.
pub(super) fn roots(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let Ok(entries) = workspace_root().join(folder).read_dir_utf8() else { return Vec::new() };
    let names = entries.map(|entry| folder.join(entry.expect("the project is readable").file_name()));
    let root = |path: Utf8PathBuf| {
        if path.extension() == Some("rs") {
            return Some(path);
        }
        let main = path.join("main.rs");
        workspace_root().join(&main).exists().then_some(main)
    };
    names.filter_map(root).collect()
}
