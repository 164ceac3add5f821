//! Feeds whatever the fuzzer invents to `conveyord::properties::rollout_line`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| conveyord::properties::rollout_line(input));
