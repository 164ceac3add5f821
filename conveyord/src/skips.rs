//! The note of a skipped test, for the unit tests: that of the end-to-end tests.

include!("../../tests/src/harness/skips.rs");
