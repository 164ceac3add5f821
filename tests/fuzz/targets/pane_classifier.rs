//! Feeds whatever the fuzzer invents to `conveyord::properties::pane_classifier`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| conveyord::properties::pane_classifier(input));
