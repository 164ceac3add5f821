//! The daemon crashes at each of its crash points, and the job goes on: nothing is lost, nothing is done
//! twice.
//!
//! `docs/crash-matrix.md` has a row per test.

use std::collections::BTreeSet;
use std::fs;

use conveyor_tests::harness::{
    CrashJob, CreateJob, Fault, Manager, PairJob, TestEnv, crash_points, workspace_root,
};

const fn at(point: &'static str) -> Fault {
    Fault::crash(point)
}

const fn within(point: &'static str, write: &'static str) -> Fault {
    Fault::crash_in(point, write)
}

/// A crash that leaves a command of which nobody knows whether it was sent.
const SENT: Fault = at("enter-pressed");

#[track_caller]
fn check(manager: Manager, faults: &[Fault]) {
    let env = TestEnv::new();
    let _ = CrashJob::new(&env, manager, faults).run();
}

/// A test per line: where the manager gets its messages, and the crashes, one per daemon.
macro_rules! crashes {
    ($($test:ident: $manager:ident, $($fault:expr),+;)*) => {
        $(#[test]
        fn $test() {
            check(Manager::$manager, &[$($fault),+]);
        })*
    };
}

crashes! {
    // The start.
    the_database_is_empty: Inbox, at("database-created");
    the_database_is_marked: Inbox, at("database-marked");
    the_database_is_migrated: Inbox, at("database-migrated");
    commands_are_not_recovered: Inbox, SENT, within("write-done", "Pass::recover_commands");
    commands_are_recovered: Inbox, SENT, at("commands-recovered");
    completions_are_not_recovered: Pane, SENT, within("write-done", "Pass::settle_interrupted");
    completions_are_recovered: Pane, SENT, at("completions-recovered");
    the_rest_is_half_recovered: Pane, SENT, within("write-done", "settle_earlier_boot");
    all_is_recovered: Pane, SENT, at("earlier-boot-settled");
    the_socket_is_bound: Inbox, at("socket-bound");
    // The end.
    calls_are_drained: Inbox, at("drained");
    the_log_is_in_the_database: Inbox, at("checkpointed");
    // Sessions, tasks and pairs.
    a_registration_is_not_committed: Inbox, within("write-done", "registration::register");
    a_registration_is_committed: Inbox, within("write-committed", "registration::register");
    a_task_is_not_committed: Inbox, within("write-done", "bindings::create_task");
    a_task_is_committed: Inbox, within("write-committed", "bindings::create_task");
    a_binding_is_not_committed: Inbox, within("write-done", "bindings::bind");
    a_binding_is_committed: Inbox, within("write-committed", "bindings::bind");
    a_thread_is_not_adopted: Inbox, within("write-done", "follow::adopt");
    a_thread_is_adopted: Inbox, within("write-committed", "follow::adopt");
    // Ingest.
    a_batch_has_not_begun: Inbox, within("write-begins", "Ingest::read_lines");
    a_batch_is_half_stored: Inbox, at("record-stored");
    a_batch_is_not_committed: Inbox, within("write-done", "Ingest::read_lines");
    a_batch_is_committed: Inbox, within("write-committed", "Ingest::read_lines");
    a_batch_is_published: Inbox, within("write-published", "Ingest::read_lines");
    // Routing of completions.
    routing_has_not_begun: Inbox, within("write-begins", "completions::route_some");
    routing_is_half_done: Inbox, at("notification-stored");
    routing_is_not_committed: Inbox, within("write-done", "completions::route_some");
    routing_is_committed: Inbox, within("write-committed", "completions::route_some");
    routing_is_published: Inbox, within("write-published", "completions::route_some");
    a_push_is_routed: Pane, within("write-committed", "completions::route_some");
    // Typing a completion into the manager's pane.
    a_push_is_about_to_begin: Pane, at("pane-seen");
    a_push_is_not_noted: Pane, within("write-done", "PaneSender::send_now");
    a_push_is_noted: Pane, within("write-committed", "PaneSender::send_now");
    a_push_is_loaded: Pane, at("text-loaded");
    a_push_is_pasted: Pane, at("text-pasted");
    a_push_is_entered: Pane, SENT;
    a_push_is_received: Pane, at("receipt-seen");
    a_push_is_not_settled: Pane, within("write-done", "completions::push");
    a_push_is_settled: Pane, within("write-committed", "completions::push");
    an_unsent_push_is_not_claimed: Pane, at("pane-seen"), within("write-done", "unsent::recover_next");
    an_unsent_push_is_claimed: Pane, at("pane-seen"), within("write-committed", "unsent::recover_next");
    // Queued messages.
    a_command_is_not_queued: Inbox, within("write-done", "enqueue::enqueue");
    a_command_is_queued: Inbox, within("write-committed", "enqueue::enqueue");
    a_command_is_not_claimed: Inbox, within("write-done", "Pass::claim");
    a_command_is_claimed: Inbox, within("write-committed", "Pass::claim");
    a_message_is_about_to_be_typed: Inbox, at("pane-seen");
    a_message_is_not_noted: Inbox, within("write-done", "PaneSender::send_now");
    a_message_is_noted: Inbox, within("write-committed", "PaneSender::send_now");
    a_message_is_loaded: Inbox, at("text-loaded");
    a_message_is_pasted: Inbox, at("text-pasted");
    a_message_is_entered: Inbox, SENT;
    a_message_is_received: Inbox, at("receipt-seen");
    a_command_is_not_settled: Inbox, within("write-done", "commands::end");
    a_command_is_settled: Inbox, within("write-committed", "commands::end");
    // A nudge and an interrupt by hand.
    an_intent_is_not_committed: Inbox, within("write-done", "Actuator::intend");
    an_intent_is_committed: Inbox, within("write-committed", "Actuator::intend");
    a_nudge_is_entered: Inbox, Fault { skip: 1, ..SENT };
    a_nudge_is_not_recorded: Inbox, within("write-done", "Actuator::succeeded");
    a_nudge_is_recorded: Inbox, within("write-committed", "Actuator::succeeded");
    a_key_is_pressed: Inbox, at("key-pressed");
    // The inbox.
    a_lease_is_not_committed: Inbox, within("write-done", "inbox::look");
    a_lease_is_committed: Inbox, within("write-committed", "inbox::look");
    an_acknowledgement_is_not_committed: Inbox, within("write-done", "inbox::acknowledge");
    an_acknowledgement_is_committed: Inbox, within("write-committed", "inbox::acknowledge");
    // The cycle.
    a_cycle_has_begun: Pane, within("write-published", "Observer::start");
    a_cycle_is_not_committed: Pane, within("write-done", "Observer::conclude");
    a_cycle_is_committed: Pane, within("write-committed", "Observer::conclude");
    // The end of a task.
    a_finish_is_not_claimed: Pane, within("write-done", "finish::rows::claim");
    a_finish_is_claimed: Pane, within("write-committed", "finish::rows::claim");
    the_last_message_is_sent: Pane, at("last-message-sent");
    the_panes_are_stored: Pane, within("write-committed", "finish::sessions::record_captures");
    the_worker_is_ended: Pane, at("worker-ended");
    the_manager_is_ended: Pane, at("manager-ended");
    a_finish_is_not_committed: Pane, within("write-done", "finish::rows::complete");
    a_finish_is_committed: Pane, within("write-committed", "finish::rows::complete");
}

/// A test per line: the crash of the first daemon in the middle of `pair`, and of the next ones.
macro_rules! crashes_of_a_pair {
    ($($test:ident: $kind:ident, $($fault:expr),+;)*) => {
        $(#[test]
        fn $test() {
            PairJob::new(&[$($fault),+]).run();
        })*
    };
}

/// The same place, but in the manager's start: the worker's start passes it unharmed.
const fn of_manager(fault: Fault) -> Fault {
    Fault { skip: 1, ..fault }
}

crashes_of_a_pair! {
    the_set_up_is_not_committed: Pair, within("write-done", "pairing::create");
    the_set_up_is_committed: Pair, within("write-committed", "pairing::create");
    a_start_is_not_written: Pair, within("write-done", "write_down");
    a_start_is_written: Pair, at("start-written");
    a_pane_is_started: Pair, at("pane-started");
    a_pane_is_not_noted: Pair, within("write-done", "note_pane");
    a_pane_is_noted: Pair, within("write-committed", "note_pane");
    a_rollout_is_found: Pair, at("rollout-found");
    a_start_is_not_registered: Pair, within("write-done", "register_started");
    a_start_is_registered: Pair, within("write-committed", "register_started");
    a_spawn_is_not_told: Pair, within("write-done", "pairing::step");
    the_managers_start_is_written: Pair, of_manager(at("start-written"));
    the_managers_pane_is_started: Pair, of_manager(at("pane-started"));
    the_managers_rollout_is_found: Pair, of_manager(at("rollout-found"));
    the_manager_is_registered: Pair, of_manager(within("write-committed", "register_started"));
    a_pair_is_not_bound: Pair, within("write-done", "pairing::go_on");
    a_pair_is_bound: Pair, within("write-committed", "pairing::go_on");
    a_dispatcher_is_enabled: Pair, within("write-committed", "pairing::dispatch");
    a_start_is_cut_off_twice: Pair, at("pane-started"), at("rollout-found");
}

/// A test per line: the crashes in the middle of `create`, of a name that is new or was used before.
macro_rules! crashes_of_a_create {
    ($($test:ident: $kind:ident, $($fault:expr),+;)*) => {
        $(#[test]
        fn $test() {
            CreateJob::new(stringify!($kind) == "Again", &[$($fault),+]).run();
        })*
    };
}

crashes_of_a_create! {
    a_worker_is_not_reserved: Create, within("write-done", "::reserve");
    a_worker_is_reserved: Create, within("write-committed", "::reserve");
    a_workers_folder_is_written: Create, at("start-written");
    a_workers_pane_is_started: Create, at("pane-started");
    a_worker_is_not_committed: Create, within("write-done", "::commit");
    a_worker_is_committed: Create, within("write-committed", "::commit");
    a_create_is_cut_off_twice: Create, at("pane-started"), at("start-written");
    a_worker_is_reserved_again: Again, within("write-committed", "::reserve");
    a_workers_pane_is_started_again: Again, at("pane-started");
    a_worker_is_not_committed_again: Again, within("write-done", "::commit");
    a_worker_is_committed_again: Again, within("write-committed", "::commit");
}

/// The rows of a document's tables, each as its cells.
fn rows_of(document: &str) -> Vec<Vec<String>> {
    let rows = document.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    rows.map(cells).collect()
}

/// The words in backticks in a cell.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The text of a module of these tests, if there is one of this name.
fn source(module: &str) -> Option<String> {
    let path = workspace_root().join("tests/tests/all").join(module.replace("::", "/"));
    fs::read_to_string(path.with_extension("rs")).ok()
}

/// Fails unless this names a test, or a module of tests.
#[track_caller]
fn check_is_there(name: &str) {
    let has_test = |(module, test): (&str, &str)| {
        source(module).is_some_and(|text| text.contains(&format!("\nfn {test}()")))
    };
    assert!(source(name).is_some() || name.rsplit_once("::").is_some_and(has_test), "there is no {name}");
}

#[test]
fn the_crash_matrix_has_every_point_and_names_tests_that_are_there() {
    let matrix = workspace_root().join("docs/crash-matrix.md");
    let matrix = fs::read_to_string(matrix).expect("it is there");
    let here = source("daemon::crash_points").expect("it is this file");
    let line_of = |test: &str| here.lines().find(|line| line.starts_with(&format!("    {test}: ")));
    let (mut points, mut tests) = (BTreeSet::new(), BTreeSet::new());
    for row in rows_of(&matrix) {
        let test = quoted(row.last().expect("a row has cells"))[0].to_owned();
        let of_another_module = test.contains("::");
        if of_another_module {
            check_is_there(&test);
        }
        if row.len() == 3 {
            assert!(of_another_module, "{test} has no place");
            continue;
        }
        let place = quoted(&row[0]);
        if of_another_module {
            points.insert(place[0].to_owned());
            continue;
        }
        let line = line_of(&test).unwrap_or_else(|| panic!("there is no test {test}"));
        let line = line.replace("SENT", "\"enter-pressed\"");
        for words in &place {
            assert!(line.contains(&format!("\"{words}\"")), "{test} is not about {words}: {line}");
        }
        points.insert(place[0].to_owned());
        assert!(tests.insert(test.clone()), "{test} has two rows");
    }
    let declared = |line: &str| {
        let (test, rest) = line.trim().split_once(": ")?;
        let kinds = ["Inbox, ", "Pane, ", "Pair, ", "Create, ", "Again, "];
        kinds.iter().any(|kind| rest.starts_with(kind)).then(|| test.to_owned())
    };
    let declared: BTreeSet<String> = here.lines().filter_map(declared).collect();
    assert_eq!(tests, declared, "a row per test");
    assert_eq!(points, crash_points().into_iter().collect(), "a row per crash point");
}
