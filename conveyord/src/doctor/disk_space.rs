//! The free space in the file system of the database.

use camino::Utf8Path;
use conveyor_proto::types::doctor::DoctorCheck;
use nix::sys::statvfs::statvfs;

const MIB: u64 = 1024 * 1024;

/// Less free space is too little: the write-ahead log may need as much before SQLite moves it into the
/// database.
const ENOUGH: u64 = 64 * MIB;

/// Compares the free space for ordinary users with what the database needs.
pub(super) fn check(database: &Utf8Path) -> DoctorCheck {
    match statvfs(database.as_std_path()) {
        Ok(disk) => judge(wide(disk.blocks_available()).saturating_mul(wide(disk.fragment_size()))),
        Err(error) => DoctorCheck {
            ok: true,
            message: Some(format!("the space that is left could not be determined: {error}")),
            ..DoctorCheck::default()
        },
    }
}

/// Widens a count. The types of `statvfs` differ between systems.
fn wide(count: impl Into<u64>) -> u64 {
    count.into()
}

fn judge(free: u64) -> DoctorCheck {
    let ok = free >= ENOUGH;
    DoctorCheck {
        ok,
        value: Some(format!("{} MiB free", free / MIB)),
        message: (!ok).then(|| {
            format!("free some space where the database is: below {} MiB writes may fail soon", ENOUGH / MIB)
        }),
        ..DoctorCheck::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_space_is_told_before_there_is_none() {
        assert!(judge(ENOUGH).ok);
        let little = judge(ENOUGH - 1);
        assert_eq!((little.ok, little.value.as_deref()), (false, Some("63 MiB free")));
        assert!(little.message.unwrap().contains("free some space"));
    }

    #[test]
    fn the_space_is_that_of_the_file_system_of_the_database() {
        let dir = tempfile::tempdir().unwrap();
        let found = check(Utf8Path::from_path(dir.path()).unwrap());
        assert!(found.value.unwrap().ends_with("MiB free"));
        let missing = check(&Utf8Path::from_path(dir.path()).unwrap().join("missing"));
        assert!(missing.ok && missing.message.unwrap().contains("could not be determined"));
    }
}
