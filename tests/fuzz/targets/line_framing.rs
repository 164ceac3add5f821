//! Feeds whatever the fuzzer invents to `conveyord::properties::line_framing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| conveyord::properties::line_framing(input));
