//! Dependencies point down: which room of `conveyord/src` may use which, and which crate which.
//!
//! A room is a folder or file of `conveyord/src`. It may use all rooms of lower floors, and on its own floor
//! those that [`ASIDE`] names. What each room is for is told in `docs/architecture.md`.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;

use super::project::{Crate, crates};
use super::rust::{Module, files_from};

/// The rooms, from the lowest floor to the highest.
const FLOORS: [&[&str]; 10] = [
    // Small things without a domain.
    &[
        "refusal",
        "config",
        "clock",
        "changes",
        "process",
        "platform",
        "logs",
        "lock",
        "under_way",
        "faults",
        "file_events",
        "guard",
        "in_place",
        "background",
    ],
    &["error", "tmux", "server", "service", "words"],
    // Side by side, and neither knows the other.
    &["store", "codex"],
    &["sessions"],
    &["history", "transcripts", "finding", "attention", "bindings", "runs", "feed"],
    &["supervision", "ingest"],
    &["dispatch", "cycle"],
    &["workers", "approvals", "pairing", "compat", "waiting", "overview"],
    &["doctor", "drift"],
    &["daemon", "rpc", "app"],
];

/// Who uses whom on the same floor.
const ASIDE: &[(&str, &str)] = &[
    ("clock", "faults"),
    ("lock", "clock"),
    ("platform", "clock"),
    ("background", "clock"),
    ("background", "faults"),
    ("background", "guard"),
    ("error", "tmux"),
    ("transcripts", "history"),
    ("bindings", "attention"),
    ("doctor", "drift"),
    ("rpc", "app"),
    ("daemon", "app"),
    ("daemon", "rpc"),
];

/// Rooms that never use each other, whatever [`ASIDE`] says.
const APART: [&str; 2] = ["store", "codex"];

/// Who uses whom against the rules, and why that has to be.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

const MOST_EXCEPTIONS: usize = 5;

/// The crates of the workspace that each of them may use. The crates of tests see what they test from
/// outside.
const CRATES: [(&str, &[&str]); 5] = [
    ("conveyor-proto", &[]),
    ("conveyor-client", &["conveyor-proto"]),
    ("conveyorctl", &["conveyor-client", "conveyor-proto"]),
    ("conveyord", &["conveyor-proto"]),
    ("conveyor-tests", &["conveyor-client", "conveyor-proto"]),
];

/// The crates that open the database. The tests look into the file that the daemon has written.
const OPEN_THE_DATABASE: [&str; 2] = ["conveyord", "conveyor-tests"];

/// A path in a file of one room that leads into another.
struct Arrow {
    from: String,
    to: String,
    place: String,
}

/// The floors, and what is allowed beside them.
struct Rules<'a> {
    floors: &'a [&'a [&'a str]],
    aside: &'a [(&'a str, &'a str)],
    exceptions: &'a [(&'a str, &'a str, &'a str)],
}

const HOUSE: Rules<'_> = Rules { floors: &FLOORS, aside: ASIDE, exceptions: EXCEPTIONS };

impl Rules<'_> {
    fn floor(&self, room: &str) -> Option<usize> {
        self.floors.iter().position(|rooms| rooms.contains(&room))
    }

    /// What is wrong with an arrow, if anything is. A room that is on no floor is wrong by itself.
    fn breach(&self, Arrow { from, to, place }: &Arrow) -> Option<String> {
        let above = self.floor(from)?;
        let Some(below) = self.floor(to) else {
            return Some(format!("{place}: `{from}` names `crate::{to}`, which is no room"));
        };
        let named = self.aside.contains(&(from, to))
            || self.exceptions.iter().any(|(user, used, _)| user == from && used == to);
        let above_it = if above == below { "beside" } else { "above" };
        (above <= below && !named).then(|| format!("{place}: `{from}` uses `{to}`, which is {above_it} it"))
    }

    /// The lines of the lists that no arrow needs, and the rooms on a floor that do not exist.
    fn idle(&self, rooms: &BTreeSet<String>, arrows: &[Arrow]) -> Vec<String> {
        let drawn: BTreeSet<(&str, &str)> =
            arrows.iter().map(|arrow| (arrow.from.as_str(), arrow.to.as_str())).collect();
        let exceptions = self.exceptions.iter().map(|(from, to, _)| (*from, *to));
        let lines = self.aside.iter().copied().chain(exceptions).filter(|line| !drawn.contains(line));
        let lines = lines.map(|(from, to)| format!("`{from}` does not use `{to}` any more"));
        let gone = self.floors.iter().flat_map(|rooms| rooms.iter()).filter(|room| !rooms.contains(**room));
        lines.chain(gone.map(|room| format!("there is no room `{room}`"))).collect()
    }

    /// The rooms that reach themselves by the arrows aside.
    fn circle(&self) -> Vec<&str> {
        let leads_back = |room: &&str| {
            let mut reached = BTreeSet::new();
            let mut left = vec![*room];
            while let Some(at) = left.pop() {
                let used = self.aside.iter().filter(|(user, _)| *user == at).map(|(_, used)| *used);
                left.extend(used.filter(|used| reached.insert(*used)));
            }
            reached.contains(room)
        };
        self.aside.iter().map(|(room, _)| *room).filter(leads_back).collect()
    }
}

/// The rooms below a root file, and all arrows between them.
fn arrows(root: &Utf8Path) -> (BTreeSet<String>, Vec<Arrow>) {
    let mut found = Vec::new();
    let mut rooms = BTreeSet::new();
    for file in files_from(root, Module::read_production) {
        // The items of the root itself belong to no room.
        let Some(from) = file.module.first() else { continue };
        rooms.insert(from.clone());
        found.extend(file.holds.named.into_iter().filter_map(|named| {
            let to = named.segments.into_iter().next().unwrap_or_else(|| "self".to_owned());
            let place = format!("{}:{}", file.path, named.line);
            (to != *from).then(|| Arrow { from: from.clone(), to, place })
        }));
    }
    (rooms, found)
}

fn house() -> (BTreeSet<String>, Vec<Arrow>) {
    let (rooms, arrows) = arrows(Utf8Path::new("conveyord/src/lib.rs"));
    assert!(rooms.len() > 20 && arrows.len() > 100, "the rooms were found");
    (rooms, arrows)
}

#[track_caller]
fn check_none(wrong: impl IntoIterator<Item = String>, rule: &str) {
    let wrong: Vec<String> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{rule}:\n  {}", wrong.join("\n  "));
}

#[test]
fn every_room_is_on_a_floor_and_uses_what_is_below() {
    let (rooms, arrows) = house();
    let homeless = rooms.iter().filter(|room| HOUSE.floor(room).is_none());
    let homeless = homeless.map(|room| format!("the room `{room}` is on no floor"));
    let wrong: BTreeSet<String> =
        homeless.chain(arrows.iter().filter_map(|arrow| HOUSE.breach(arrow))).collect();
    check_none(wrong, "dependencies point down (docs/architecture.md has the rooms)");
}

#[test]
fn the_lists_say_no_more_than_there_is() {
    let (rooms, arrows) = house();
    check_none(HOUSE.idle(&rooms, &arrows), "take these out of the lists");
    assert!(EXCEPTIONS.len() <= MOST_EXCEPTIONS, "mend one before adding another");
    assert!(EXCEPTIONS.iter().all(|(_, _, reason)| reason.len() > 20), "each exception has its reason");
}

#[test]
fn rooms_of_a_floor_use_each_other_in_no_circle() {
    assert_eq!(HOUSE.circle(), [""; 0]);
    for (from, to) in ASIDE {
        assert_eq!(HOUSE.floor(from), HOUSE.floor(to), "`{from}` and `{to}` are on one floor");
    }
    let apart = |(from, to): &(&str, &str)| APART.contains(from) && APART.contains(to);
    let lines = ASIDE.iter().copied().chain(EXCEPTIONS.iter().map(|(from, to, _)| (*from, *to)));
    assert_eq!(lines.filter(apart).count(), 0, "{APART:?} do not know each other");
}

#[test]
fn crates_use_what_they_may() {
    let of_ours: BTreeMap<&str, &[&str]> = CRATES.into_iter().collect();
    let all = crates();
    let check = |member: &Crate| {
        let name = member.name();
        let may = of_ours.get(name).unwrap_or_else(|| panic!("{name} is not in the list of crates"));
        for used in member.dependencies() {
            assert!(!of_ours.contains_key(used) || may.contains(&used), "{name} depends on {used}");
            let database = ["rusqlite", "r2d2_sqlite", "rusqlite_migration"].contains(&used);
            assert!(!database || OPEN_THE_DATABASE.contains(&name), "{name} depends on {used}");
        }
    };
    all.iter().for_each(check);
    let daemon = all.iter().find(|member| member.name() == "conveyord").expect("there is a daemon");
    assert!(daemon.dependencies().contains(&"rusqlite"), "the manifests were read");
}

/// What a file `conveyord/src/room/file.rs` with this text names, each as `line path`.
#[track_caller]
fn check_names(text: &str, expect: &[&str]) {
    let path = ["room", "file"].map(str::to_owned);
    let module = Module::read_production(text, &path);
    let named: Vec<String> =
        module.named.iter().map(|named| format!("{} {}", named.line, named.segments.join("::"))).collect();
    assert_eq!(named, expect, "{text}");
}

#[test]
fn paths_are_read_wherever_they_stand() {
    check_names("use crate::a::B;\npub(crate) use crate::c;", &["1 a::B", "2 c"]);
    check_names("use crate::{a::{self, B as C, d::*},\n e as f};", &["1 a", "1 a::B", "1 a::d::*", "2 e"]);
    check_names("use {crate::a, super::b::{C, D}};", &["1 a", "1 room::b::C", "1 room::b::D"]);
    check_names("use super::super::a;\nuse super::super::super::b;", &["1 a", "2 b"]);
    check_names("use super::{super::a::B, c};", &["1 a::B", "1 room::c"]);
    check_names(
        "fn f(x: &crate::a::B<crate::c::D>) -> super::E { crate::g::h::<u8>(x) }",
        &["1 a::B", "1 c::D", "1 room::E", "1 g::h"],
    );
    check_names("impl<T: crate::a::B> crate::c::D for T {}", &["1 a::B", "1 c::D"]);
    check_names("macro_rules! m { () => { $crate::a::b!() } }\nn!(x, crate::c::D);", &["1 a::b", "2 c::D"]);
    check_names("#[derive(crate::a::B)]\nstruct S(#[serde(with = crate::c)] u8);", &["1 a::B", "2 c"]);
    check_names(
        "mod inner { use super::a; use super::super::b; use self::c; }",
        &["1 room::file::a", "1 room::b", "1 room::file::inner::c"],
    );
    check_names("use crate::r#type::X;", &["1 type::X"]);
}

#[test]
fn the_whole_crate_cannot_be_named_past_the_rule() {
    check_names("use crate as root;", &["1 "]);
    check_names("use crate::{self as root};", &["1 "]);
    check_names("use crate::*;", &["1 *"]);
    check_names("use super::super::*;", &["1 *"]);
}

#[test]
fn what_is_no_path_is_not_read() {
    check_names("pub(crate) fn f(self, x: super_::y) { self.x; a::crate_::b(); }", &[]);
    check_names("pub(super) struct S { pub(crate) x: u8 }", &[]);
    check_names("//! crate::a\n/// [`crate::b`]\n// crate::c\n/* crate::d /* crate::e */ */\nfn f() {}", &[]);
    check_names(
        r##"const X: &str = "crate::a"; const Y: &str = r#"use crate::b; ""#; const Z: char = '"';"##,
        &[],
    );
    check_names("fn f<'a>(x: &'a str) -> char { '\\'' } // crate::a", &[]);
}

#[test]
fn what_is_for_tests_is_not_read() {
    check_names("#[cfg(test)]\nmod tests { use crate::a; }\nuse crate::b;", &["3 b"]);
    check_names("#[cfg(test)]\nuse crate::{a, c};\nuse crate::b;", &["3 b"]);
    check_names(
        "#[cfg(all(test, unix))] fn f<A, B>(x: crate::a::A) { crate::c::d() }\nuse crate::b;",
        &["2 b"],
    );
    check_names(
        "#[cfg(any(test, feature = \"fuzzing\"))]\n#[doc(hidden)]\npub mod p { use crate::a; }\nuse crate::b;",
        &["4 b"],
    );
    check_names("struct S { #[cfg(test)] x: fn(crate::a::A, u8), y: crate::b::B }", &["1 b::B"]);
    check_names("fn f() { #[cfg(test)] let x = { crate::a::b() }; crate::c::d() }", &["1 c::d"]);
    check_names("#![cfg(test)]\nuse crate::a;", &[]);
    check_names("#[cfg(not(test))] use crate::a;\n#[cfg(any(test, unix))] use crate::b;", &["1 a", "2 b"]);
    check_names(
        "#[cfg(feature = \"faults\")] use crate::a;\n#[cfg_attr(test, derive(X))] use crate::b;",
        &["1 a", "2 b"],
    );
    let module = Module::read_production("#[cfg(test)] mod tests;\nmod a;\nmod b { mod c; }", &[]);
    assert_eq!(module.declared, [vec!["a"], vec!["b", "c"]]);
}

#[test]
fn a_breach_names_its_place_and_both_rooms() {
    let rules = Rules {
        floors: &[&["low", "deep"], &["left", "right"], &["top"]],
        aside: &[("left", "right")],
        exceptions: &[("low", "top", "only here, as an example")],
    };
    let breach = |from: &str, to: &str| {
        rules.breach(&Arrow { from: from.to_owned(), to: to.to_owned(), place: "x.rs:7".to_owned() })
    };
    for (from, to) in [("top", "low"), ("top", "left"), ("left", "right"), ("left", "deep"), ("low", "top")] {
        assert_eq!(breach(from, to), None);
    }
    assert_eq!(breach("right", "left").as_deref(), Some("x.rs:7: `right` uses `left`, which is beside it"));
    assert_eq!(breach("low", "right").as_deref(), Some("x.rs:7: `low` uses `right`, which is above it"));
    assert_eq!(breach("top", "*").as_deref(), Some("x.rs:7: `top` names `crate::*`, which is no room"));
    let rooms = ["low", "deep", "left", "right"].map(str::to_owned).into();
    assert_eq!(
        rules.idle(&rooms, &[]),
        [
            "`left` does not use `right` any more",
            "`low` does not use `top` any more",
            "there is no room `top`",
        ]
    );
    let aside = |aside| Rules { floors: &[], aside, exceptions: &[] };
    assert_eq!(aside(&[("a", "b"), ("b", "c"), ("c", "b")]).circle(), ["b", "c"]);
    assert_eq!(aside(&[("a", "b"), ("b", "c"), ("a", "c")]).circle(), [""; 0]);
}
