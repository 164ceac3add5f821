//! Properties that hold for everything that others write to us: rollouts, requests and screens.
//!
//! Each function takes any bytes, and panics if its property does not hold. It is the only definition of that
//! property. The fuzz targets of `tests/fuzz` call it with inputs of the fuzzer, and the tests below with
//! inputs of proptest and with all seeds that are kept. The functions are beside the code that they check and
//! use its private parts, so they cannot be in the fuzz crate. They are compiled only for tests and fuzz
//! targets.
//!
//! The first line of an input says how the rest is presented, and the rest follows unchanged. So a recorded
//! rollout, session or screen becomes a seed by a line in front of it.

pub use crate::codex::rollout::properties::rollout_line;
pub use crate::codex::screen::properties::pane_classifier;
pub use crate::server::properties::line_framing;

/// The most pieces of an input. More pieces find no more faults and take more time.
const MOST_PIECES: usize = 64;

/// The first line of an input, and the rest.
pub(crate) fn head_and_rest(input: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'\n', input) {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &[]),
    }
}

/// Cuts bytes into pieces whose lengths are the values of `lengths`, repeated. The last of [`MOST_PIECES`]
/// pieces is the whole rest.
pub(crate) fn pieces<'a>(lengths: &[u8], bytes: &'a [u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    for length in lengths.iter().cycle().take(MOST_PIECES - 1) {
        let (piece, after) = rest.split_at(usize::from(*length).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests;
