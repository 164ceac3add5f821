//! The table of the protocol is what is declared, and what is declared is what the code refuses with.

use super::{DECLARED, Declared};
use crate::sources::{names, sources};
use conveyor_proto::ErrorClass;
use std::{collections::BTreeSet, fs, path::Path};

const BEGIN: &str = "<!-- made of conveyord/src/refusal/kind.rs; `UPDATE_DOCS=1 cargo test -p conveyord --lib refusal` rewrites \
                     it -->\n";
const END: &str = "<!-- end -->\n";

fn row(kind: &Declared) -> String {
    let codes: Vec<String> = kind.classes.iter().map(|class| class.code().to_string()).collect();
    format!("| `{}` | {} | {} |\n", kind.word, codes.join(", "), kind.when.trim())
}

#[test]
fn the_table_of_the_protocol_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (written, after) = rest.split_once(END).expect("the table has an end");
    let rows: String = DECLARED.iter().map(row).collect();
    let table = format!("| kind | code | when |\n|---|---|---|\n{rows}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert!(
            written == table,
            "docs/protocol.md is out of date: `UPDATE_DOCS=1 cargo test -p conveyord` rewrites it"
        );
    }
}

fn variant_at(rest: &str) -> Option<&str> {
    let rest = rest.trim_start().strip_prefix("Kind::")?;
    rest.split(|next: char| !next.is_ascii_alphanumeric()).next()
}

#[test]
fn the_code_refuses_with_every_kind_and_only_with_its_classes() {
    let sources = sources(&["rs"], "refusal/kind");
    let unused = DECLARED.iter().map(|kind| kind.variant).filter(|variant| {
        let path = format!("Kind::{variant}");
        !sources.iter().any(|source| names(source, &path))
    });
    assert_eq!(unused.collect::<Vec<_>>(), [""; 0], "nothing is refused with these");
    let words: BTreeSet<&str> = DECLARED.iter().map(|kind| kind.word).collect();
    assert_eq!(words.len(), DECLARED.len(), "a kind is declared twice");
    let constructors = [
        ("Error::not_found(", ErrorClass::NotFound),
        ("Error::conflict(", ErrorClass::Conflict),
        ("Error::refused(", ErrorClass::Refused),
        ("Error::invalid(", ErrorClass::Invalid),
        ("Error::unavailable(", ErrorClass::Unavailable),
    ];
    let mut looked_at = 0;
    for (call, class) in constructors {
        for source in &sources {
            for variant in source.split(call).skip(1).filter_map(variant_at) {
                let kind = DECLARED.iter().find(|kind| kind.variant == variant).expect(variant);
                assert!(kind.classes.contains(&class), "{call}{variant}: its class is not declared");
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 100, "the refusals were found");
}
