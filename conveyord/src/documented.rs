//! The numbers that the pages name are those of the code. Whoever changes a number here finds the sentences that tell it.

use crate::codex::rollout::{MAX_BYTES, MAX_WINDOW};
use crate::server::Limits;
use crate::store::{KEPT_BACKUPS, drift::LISTED};
use crate::{background, codex::launch, dispatch::deadlines, logs};
use conveyor_proto::limits;
use std::path::Path;
use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// A page's text, with a blank for each line break.
fn text(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    std::fs::read_to_string(path).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(page: &str, sentences: &[String]) {
    let text = text(page);
    let missing: Vec<&String> = sentences.iter().filter(|sentence| !text.contains(*sentence)).collect();
    assert!(missing.is_empty(), "{page} does not say what holds: {missing:#?}");
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

#[test]
fn the_guide_names_the_numbers_that_hold() {
    let longest_root = limits::MAX_SOCKET_PATH - "/conveyord.sock".len();
    check(
        "docs/guide.md",
        &[
            format!("| `message_too_long` | over {} KiB |", limits::MAX_MESSAGE_BYTES / KIB),
            format!("A path of the state root over about {longest_root} bytes"),
            format!("rotated at {} MiB", usize::try_from(logs::ROTATE_AT).unwrap() / MIB),
            format!("`logs/conveyord.log`, `.1` to `.{}`", logs::KEPT),
            format!("the database before each migration, the newest {KEPT_BACKUPS} "),
            format!("of rows, the newest {LISTED} of a kind are listed"),
            format!("calls have {})", seconds(Limits::default().drain)),
            format!("for {} days", launch::PROMPT_KEPT.as_secs() / 86_400),
        ],
    );
}

#[test]
fn the_pages_about_the_socket_name_the_limits_that_hold() {
    let Limits {
        request_bytes,
        response_bytes,
        batch_length,
        connections,
        in_flight_per_connection,
        subscriptions_per_connection,
        first_byte_timeout,
        request_timeout,
        write_timeout,
        drain,
        always_answered: _,
        outgoing_messages: _,
    } = Limits::default();
    let [message, text, payload] =
        [limits::MAX_MESSAGE_BYTES / KIB, limits::MAX_TEXT_BYTES / KIB, limits::MAX_PAYLOAD_BYTES / MIB];
    check(
        "docs/protocol.md",
        &[
            format!("| request | {} MiB |", request_bytes / MIB),
            format!("| answer | {} MiB |", response_bytes / MIB),
            format!("| batch | {batch_length} entries |"),
            format!("| connections | {connections} |"),
            format!(
                "| requests in flight per connection | {in_flight_per_connection}, and on lines {} MiB together |",
                request_bytes / MIB
            ),
            format!("| subscriptions per connection | {subscriptions_per_connection} |"),
            format!("| silence before the first byte | {} |", seconds(first_byte_timeout)),
            format!("| arrival of a request that was begun | {} |", seconds(request_timeout)),
            format!("| a client that takes none of its bytes | {} |", seconds(write_timeout)),
            format!("| calls in flight when the daemon ends | {} |", seconds(drain)),
            format!("| one wait (`inbox.take`, `state.wait`) | {} s |", limits::MAX_WAIT_SECONDS),
            format!("| message to a pane | {message} KiB |"),
            format!("| {text} KiB, {payload} MiB | `text_too_long`, `payload_too_large` |"),
        ],
    );
    check(
        "docs/clients/README.md",
        &[
            format!("A line may be as long as an answer, {} MiB.", response_bytes / MIB),
            format!("within its {} s", limits::INBOX_LEASE_SECONDS),
            format!("A request has at most {} MiB, a batch {batch_length} entries", request_bytes / MIB),
            format!(
                "a connection {in_flight_per_connection} calls in flight (a {}th",
                in_flight_per_connection + 1
            ),
            format!("there are {connections} connections for all"),
            format!("takes none of its bytes for {} is closed", seconds(write_timeout)),
        ],
    );
    check(
        "docs/security.md",
        &[
            format!("No call stores a text over {text} KiB or a value over {payload} MiB"),
            format!("An answer over {} MiB is told as such", response_bytes / MIB),
            format!("than {} MiB for its window", usize::try_from(MAX_WINDOW).unwrap() / MIB),
        ],
    );
}

#[test]
fn the_architecture_names_the_numbers_that_hold() {
    let (first, longest) = background::BACK_OFF;
    check(
        "docs/architecture.md",
        &[
            format!("gets {} MiB for its window at most", usize::try_from(MAX_WINDOW).unwrap() / MIB),
            format!("longer than {} GiB", usize::try_from(MAX_BYTES).unwrap() / MIB / KIB),
            format!(
                "begins again after {} ms, doubled with each failure in a row, {} at most",
                first.as_millis(),
                seconds(longest)
            ),
            format!("after {} s the item is in the inbox again", limits::INBOX_LEASE_SECONDS),
            format!("From {} s on, one transaction", deadlines::APART_MS / 1000),
        ],
    );
}
