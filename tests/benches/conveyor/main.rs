//! The benches: how fast the built programs do their work, and at what cost, as their users see it.
//!
//! `cargo bench -p conveyor-tests` (or `make bench`, which builds the programs first) runs the release builds of
//! `conveyord` and `conveyorctl`, each area in a fresh state root, and prints a line per work: what was measured,
//! on how much, what came out, and the figure to reach. No bench fails on a time.
//!
//! An area per file; what they share is in `world` (a daemon and its clients), `inputs` (rollouts of a given
//! size), `crowd` (other processes), `process` (memory, processor time, bytes written), `report` (figures and tables). Nothing in here reaches into the
//! daemon or its database: what is measured is what a user could measure.
#![expect(clippy::expect_used, clippy::panic, reason = "a bench that cannot measure ends")]

mod cli;
mod crowd;
mod cycle;
mod idle;
mod ingest;
mod inputs;
mod latency;
mod machine;
mod process;
mod reference;
mod report;
mod routing;
mod world;

use report::Report;

/// A part of the benches: its name, for filters, and what it measures.
type Area = (&'static str, fn(&mut Report));

const AREAS: &[Area] = &[
    ("sessions", cli::sessions),
    ("start", cli::start),
    ("cycle-rpc", cycle::without_pane),
    ("cycle-rpc-others", cycle::beside_others),
    ("cycle-pane", cycle::with_pane),
    ("cycle-cli", cycle::command_line),
    ("latency-1", latency::one_pair),
    ("latency-200", latency::many_sessions),
    ("latency-cli", latency::command_line),
    ("ingest", ingest::mixed),
    ("routing", routing::stored_completions),
    ("cycle-backlog", cycle::beside_backlog),
    ("history", cycle::with_history),
    ("idle", idle::watching),
    ("idle-others", idle::beside_others),
];

const USAGE: &str = "\
usage: cargo bench -p conveyor-tests -- [NAME...] [--markdown] [--reference] [--list]

NAME         only the areas whose names contain one of these
--markdown   print the table of docs/performance.md
--reference  measure agent-conveyor 0.1.0 with the same work instead; its figures are then shown beside ours
--list       print the names of the areas
";

fn main() {
    let (mut names, mut markdown, mut of_reference) = (Vec::new(), false, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            // What cargo tells every bench.
            "--bench" => {}
            // `cargo test --benches` and `--all-targets` are about tests; there is none here.
            "--test" => return,
            "--markdown" => markdown = true,
            "--reference" => of_reference = true,
            "--list" => return AREAS.iter().for_each(|(name, _)| report::print(&format!("{name}\n"))),
            "--help" | "-h" => return report::print(USAGE),
            name if !name.starts_with('-') => names.push(name.to_owned()),
            unknown => {
                report::print(&format!("{unknown} is not an option\n{USAGE}"));
                std::process::exit(2);
            }
        }
    }
    if of_reference {
        return reference::measure(&names);
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|part| name.contains(part.as_str()));
    let mut report = Report::new(markdown, reference::results());
    report.begin(&machine::describe());
    for (_, area) in AREAS.iter().filter(|(name, _)| wanted(name)) {
        area(&mut report);
    }
    report.end();
}
