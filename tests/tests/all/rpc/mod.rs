//! The methods, and the page that describes them.

mod answers;
mod protocol_examples;
