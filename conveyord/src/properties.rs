//! What must hold of everything that others write to us, whatever it is: rollouts, requests, screens.
//!
//! Each function takes any bytes and panics when a property does not hold. It is the one definition of that
//! property: the fuzz targets of `tests/fuzz` call it with what the fuzzer invents, the tests below with what
//! proptest invents and with every seed that is kept. The functions stand beside the code that they are about
//! and see its private parts; so they cannot live in the fuzz crate, and no private part is opened for them.
//! Compiled for tests and for the fuzz targets only.
//!
//! An input begins with a line that says how the rest is presented, then comes the rest as it is. A recorded
//! rollout, session or screen becomes a seed by putting such a line before it.

pub use crate::codex::rollout::properties::rollout_line;
pub use crate::codex::screen::properties::pane_classifier;
pub use crate::server::properties::line_framing;

/// Pieces of an input at most: more of them find no more, and take time.
const MOST_PIECES: usize = 64;

/// The first line of an input, and the rest.
pub(crate) fn head_and_rest(input: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'\n', input) {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &[]),
    }
}

/// Cuts bytes into pieces whose lengths are the values of `lengths`, over and over. The last of [`MOST_PIECES`]
/// is as long as it must be.
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
