//! The daemon's own production code as text, for tests that hold it against a declaration.

use std::{fs, path::Path};

/// The text of each file with one of these endings, without its tests. `declaration` is left out: a file or folder of
/// `src`, without ending.
pub(crate) fn sources(endings: &[&str], declaration: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            if path.with_extension("") == root.join(declaration) || path.file_stem().unwrap() == "tests" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if endings.contains(&ending.as_str()) {
                let text = fs::read_to_string(&path).unwrap();
                found.push(text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned());
            }
        }
    }
    assert!(found.len() > 100, "the sources were found");
    found
}

/// Whether a text names this path, and not one that only begins so.
pub(crate) fn names(source: &str, path: &str) -> bool {
    source.match_indices(path).any(|(at, _)| {
        !source[at + path.len()..].starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_')
    })
}
