//! Watches the workers' folders: a status that a worker writes into its `status.json` becomes a row.
//!
//! Each folder is watched by the system's file events. Some file systems lose events, so all folders are also
//! read every few seconds.

use super::{
    Workers, blocking,
    folder::{self, Folder, STATUS},
};
use crate::{background::Items, error::Result, file_events::FileEvents};
use camino::{Utf8Path, Utf8PathBuf};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// How often all folders are read whether or not an event arrived.
const SWEEP_TICK: Duration = Duration::from_secs(10);

/// The paths to watch for a worker's reports. On macOS the report is watched beside its folder: kqueue
/// reports changes only of the files that are watched themselves (see notify-rs/notify#372). A report that is
/// replaced is a new file, which the watch of the folder finds.
pub(super) fn paths_of(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut paths = vec![folder.to_owned()];
    if cfg!(target_os = "macos") {
        paths.push(folder.join(STATUS));
    }
    paths
}

/// Copies reports from files into rows until cancelled.
pub async fn run(workers: Workers, cancel: CancellationToken, items: Items) {
    let mut events = FileEvents::new("reports of workers");
    // File events carry the real path, with links resolved.
    let root = workers.root.canonicalize_utf8().unwrap_or_else(|_| workers.root.clone());
    let mut seen: BTreeMap<String, SystemTime> = BTreeMap::new();
    let mut sweep = tokio::time::interval_at(Instant::now(), SWEEP_TICK);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let everything = tokio::select! {
            () = cancel.cancelled() => break,
            _ = sweep.tick() => true,
            paths = events.next() => {
                if !paths.iter().any(|path| concerns_workers(&root, path)) {
                    continue;
                }
                false
            }
        };
        let looked = match look(root.clone()).await {
            Ok(looked) => looked,
            Err(error) => {
                items.trouble("the folders of the workers could not be looked at", &error);
                tracing::error!(%error, "the folders of the workers could not be looked at");
                continue;
            }
        };
        let mut wanted = BTreeSet::from([root.clone()]);
        for (folder, _, _) in &looked {
            wanted.extend(paths_of(folder));
        }
        events.set(&wanted);
        seen.retain(|name, _| looked.iter().any(|(_, known, _)| known == name));
        for (_, name, modified) in looked {
            let item = format!("worker {name}");
            if seen.get(&name) == Some(&modified) || items.rests(&item) {
                continue;
            }
            let Ok(imported) = items.attempt(&item, workers.import_status(&name)).await else { continue };
            match imported {
                Ok(_) => {
                    seen.insert(name, modified);
                }
                // The next sweep tries again. A failure after an event is logged only if the sweep fails too.
                Err(error) if everything => {
                    items.trouble("a report could not be stored", &error);
                    tracing::warn!(%error, worker = name, "a report could not be stored");
                }
                Err(_) => {}
            }
        }
    }
}

/// Whether a change can concern a report: a report itself, a folder in the state root, or the state root.
fn concerns_workers(root: &Utf8Path, path: &Utf8Path) -> bool {
    path == root || path.parent() == Some(root) && !is_ours(path) || path.file_name() == Some(STATUS)
}

/// Whether a path is one of the daemon's own files in the state root, which change all the time.
fn is_ours(path: &Utf8Path) -> bool {
    path.file_name().is_some_and(|name| name.starts_with("conveyor"))
}

/// The folders of workers that hold a report, and when each report was last written.
async fn look(root: Utf8PathBuf) -> Result<Vec<(Utf8PathBuf, String, SystemTime)>> {
    let look = move || {
        let names = folder::names(&root).unwrap_or_default();
        let of_name = |name: String| {
            let folder = Folder::of(&root, &name);
            Some((folder.path().to_owned(), name, folder.reported()?))
        };
        names.into_iter().filter_map(of_name).collect()
    };
    blocking(look).await
}
