//! The note of a skipped test: that of the end-to-end tests.

include!("../../../tests/src/harness/skips.rs");
