//! The methods, and the page that describes them.

mod answers;
mod pages;
mod protocol_examples;
