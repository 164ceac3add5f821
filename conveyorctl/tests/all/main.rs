//! The program from its arguments to its output, against a daemon of canned answers.

#![expect(clippy::unwrap_used, reason = "what a test cannot do without ends it, helpers included")]

mod alone;
mod calls;
mod endings;
mod inboxes;
mod interrupting;
mod people;
mod reference;
mod rooms;
pub mod skips;
mod starting;
mod support;
