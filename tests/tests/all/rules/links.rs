//! Every relative link of the documents leads somewhere: to a file, and to a heading in it where it
//! names one.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use conveyor_tests::harness::workspace_root;

/// The project's own pages.
fn pages() -> Vec<Utf8PathBuf> {
    let root = workspace_root();
    let in_folder = |folder: Utf8PathBuf| {
        let entries = folder.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path());
        entries.filter(|path| path.extension() == Some("md")).collect::<Vec<_>>()
    };
    [in_folder(root.to_owned()), in_folder(root.join("docs")), in_folder(root.join("docs/clients"))].concat()
}

/// The lines of a page that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let fence = line.starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

fn links(text: &str) -> Vec<&str> {
    prose(text)
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://"))
        .collect()
}

/// The fragment by which a heading is linked to: lower case, blanks as dashes, no punctuation.
fn fragment(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn has_heading(page: &Utf8Path, wanted: &str) -> bool {
    let text = fs::read_to_string(page).unwrap_or_default();
    prose(&text)
        .filter(|line| line.starts_with('#'))
        .any(|line| fragment(line.trim_start_matches('#')) == wanted)
}

#[test]
fn relative_links_resolve() {
    let mut broken = Vec::new();
    let mut seen = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            seen += 1;
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            if !target.exists() || !heading.is_empty() && !has_heading(&target, heading) {
                broken.push(format!("{page}: {link}"));
            }
        }
    }
    assert!(seen > 10, "the links were found");
    assert!(broken.is_empty(), "these lead nowhere:\n  {}", broken.join("\n  "));
}
