//! `docs/cli.md` is what the definitions say.

#[test]
fn the_reference_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md");
    let page = conveyorctl::reference_markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == page,
        "docs/cli.md is out of date: `UPDATE_DOCS=1 cargo test -p conveyorctl` rewrites it"
    );
}
