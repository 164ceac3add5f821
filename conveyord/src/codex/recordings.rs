//! What the real Codex wrote and showed, recorded: rollouts and screens with an index of both. The recordings are Codex's own
//! text, so they lie beside the checkout and not in it.

use crate::skips::skipped;
use std::path::{Path, PathBuf};

/// The folder with recordings of this name, and its index. Notes that the test is skipped when there is none.
pub(crate) fn recorded<Index: serde::de::DeserializeOwned>(name: &str) -> Option<(PathBuf, Index)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures").join(name);
    let Ok(index) = std::fs::read(folder.join("manifest.json")) else {
        skipped("with recordings of Codex", "there are none beside the checkout");
        return None;
    };
    Some((folder, serde_json::from_slice(&index).unwrap()))
}
