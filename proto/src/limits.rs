//! Limits that both sides of the socket must agree on. Each is defined here once.

/// Largest message that may be queued or sent to a pane, in bytes of UTF-8.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// Largest text that the supervision contract stores, such as a criterion or a summary, in bytes of UTF-8.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Largest JSON value that the supervision contract stores, such as an acknowledgement, in bytes of compact JSON.
pub const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;

/// All criteria of a task together, in bytes of their texts, proofs, rationales and evidence: each cycle shows and keeps
/// them.
pub const MAX_CRITERIA_BYTES: u64 = 2 * 1024 * 1024;

/// What a cycle consumes at most, in bytes of the items' payloads; the rest waits for the next cycle.
pub const MAX_CYCLE_ITEM_BYTES: u64 = 4 * 1024 * 1024;

/// Largest request, in bytes.
pub const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// Longest name of a session, in characters.
pub const MAX_SESSION_NAME: usize = 64;

/// Longest name of a task, in characters.
pub const MAX_TASK_NAME: usize = 200;

/// Longest wait that one call may ask for, in seconds (a day).
pub const MAX_WAIT_SECONDS: f64 = 86_400.0;

/// Longest path that fits a Unix socket address on every supported system, in bytes.
pub const MAX_SOCKET_PATH: usize = 103;

/// How long a leased inbox item waits for its acknowledgement before it returns to the inbox, in seconds.
pub const INBOX_LEASE_SECONDS: i64 = 15;
