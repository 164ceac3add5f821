//! Opening: file modes, pragmas, backup before migration, refusal of what is not ours.

use super::{StoreError, rows::scalar};
use crate::{
    clock,
    faults::{self, CrashPoint},
    in_place::InPlace,
};
use camino::Utf8Path;
use conveyor_proto::opened::Opened;
use nix::fcntl::OFlag;
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations};
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    time::Duration,
};

/// Marks a file as Conveyor's: "cnvy".
pub const APPLICATION_ID: i32 = 0x636e_7679;

/// The newest schema version this program knows: the number of migrations.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Each is applied once, in this order, and never changed after a release.
const MIGRATIONS: &[M<'static>] = &[
    M::up(include_str!("migrations/0001_initial.sql")),
    M::up(include_str!("migrations/0002_put_away.sql")),
];

/// How long a statement waits for a lock of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The most read-only connections. Each of them costs its page cache.
const READERS: u32 = 8;
/// Page cache of each of them, in KiB: enough for the paths through some indexes. The system keeps the rest of the
/// file in memory as it is.
const READER_CACHE_KIB: i64 = 512;
/// A read-only connection that was not used for so long is closed.
const READER_IDLE: Duration = Duration::from_secs(30);
/// Backups that are kept, newest first.
pub(crate) const KEPT_BACKUPS: usize = 5;
/// Size of a page in a new database, in bytes. A small change writes whole pages of some thirty tables and indexes, so
/// that it costs what they do; large records cost little more in small pages. Databases of versions before 0.3 have
/// pages of 16 KiB and keep them.
const PAGE_SIZE: i64 = 4096;
/// Bytes of the write-ahead log before a commit moves them into the file itself. `checkpoint` does it long before,
/// unless a bulk ingest outruns it.
const WAL_AUTOCHECKPOINT: i64 = 256 * 1024 * 1024;
/// The write-ahead log is cut back to this size after a checkpoint, in bytes.
const WAL_SIZE_LIMIT: i64 = 64 * 1024 * 1024;

pub(super) fn writer(path: &Utf8Path, backups: &Utf8Path) -> Result<Connection, StoreError> {
    let unusable = |source| StoreError::Open { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
    }
    refuse_links(path).map_err(unusable)?;
    // SQLite would create it with mode 0644, less the umask: readable for others.
    new_file(path).map_err(unusable)?;
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(|_| unusable(io::Error::other("SQLite could not open the file")))?;
    faults::reach(CrashPoint::DatabaseCreated);
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let version = identify(&connection, path)?;
    if version == 0 {
        // SQLite applies these two only to a file without tables (https://sqlite.org/pragma.html#pragma_page_size).
        connection.pragma_update(None, "page_size", PAGE_SIZE)?;
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    common_pragmas(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let page_size = connection.pragma_query_value(None, "page_size", scalar::<i64>)?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_AUTOCHECKPOINT / page_size)?;
    connection.pragma_update(None, "journal_size_limit", WAL_SIZE_LIMIT)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    if version < SCHEMA_VERSION {
        if version > 0 {
            back_up(&connection, path, backups, version)?;
        }
        migrate(&mut connection)?;
    }
    leave_trail(&connection)?;
    Ok(connection)
}

/// Refuses a database that is a link, and one whose side files are: SQLite would follow them. A pipe would be waited
/// for.
fn refuse_links(path: &Utf8Path) -> io::Result<()> {
    for end in ["", "-wal", "-shm", "-journal"] {
        let file = format!("{path}{end}");
        match fs::symlink_metadata(&file) {
            Ok(found) if found.is_symlink() => {
                return Err(io::Error::other(format!(
                    "{file} is a symbolic link: name the file that it leads to"
                )));
            }
            Ok(found) if !found.is_file() => {
                return Err(io::Error::other(format!("{file} is no regular file: move it away")));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes a file that only this user can read, unless it is there.
fn new_file(path: &Utf8Path) -> io::Result<()> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    fs::OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(flags).open(path).map(drop)
}

/// The folder of the backups is in the state root, where no link is followed.
fn make_backups(backups: &Utf8Path) -> io::Result<()> {
    match (backups.parent(), backups.file_name()) {
        (Some(root), Some(name)) => Opened::create(root)?.make_folder(name).map(drop),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// The files of a database that is open. SQLite keeps them as long as the writer lives.
pub(super) fn held(path: &Utf8Path) -> Result<InPlace, StoreError> {
    let held = InPlace::default();
    for end in ["", "-wal", "-shm"] {
        let unusable = |source| StoreError::Open { path: path.to_owned(), source };
        held.add(Utf8Path::new(&format!("{path}{end}"))).map_err(unusable)?;
    }
    Ok(held)
}

/// The schema version of the file. Refuses a file that is no database, of another program, or of a newer version.
fn identify(connection: &Connection, path: &Utf8Path) -> Result<i64, StoreError> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, scalar::<i64>);
    let not_a_database = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            StoreError::NotADatabase { path: path.to_owned() }
        }
        _ => StoreError::from(error),
    };
    let application = pragma("application_id").map_err(not_a_database)?;
    let version = pragma("user_version")?;
    let empty: bool = connection.query_row("select not exists (select 1 from sqlite_schema)", [], scalar)?;
    if application != i64::from(APPLICATION_ID) && !empty {
        let found = i32::try_from(application).unwrap_or_default();
        return Err(StoreError::Foreign { path: path.to_owned(), found });
    }
    if version > SCHEMA_VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known: SCHEMA_VERSION });
    }
    Ok(version)
}

fn common_pragmas(connection: &Connection) -> Result<(), StoreError> {
    connection.set_prepared_statement_cache_capacity(256);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(reach_the_disk(connection)?)
}

/// On macOS fsync(2) reaches the disk's own cache only (<https://sqlite.org/pragma.html#pragma_fullfsync>). Elsewhere this
/// changes nothing.
fn reach_the_disk(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    faults::reach(CrashPoint::DatabaseMarked);
    Migrations::from_slice(MIGRATIONS).to_latest(connection)?;
    faults::reach(CrashPoint::DatabaseMigrated);
    Ok(())
}

/// Records in `schema_migrations` what was applied, also by an earlier start that crashed before it had recorded it.
fn leave_trail(connection: &Connection) -> Result<(), StoreError> {
    let missing = "select not exists (select 1 from schema_migrations where version = ?1)";
    let mut missing = connection.prepare(missing)?;
    for version in 1..=SCHEMA_VERSION {
        if missing.query_row([version], scalar)? {
            let insert = "insert into schema_migrations (version, applied_at) values (?1, ?2)";
            connection.execute(insert, (version, clock::now()))?;
        }
    }
    Ok(())
}

/// An empty database of the newest schema, to hold others against.
pub(super) fn in_memory() -> Result<Connection, StoreError> {
    let mut connection = Connection::open_in_memory()?;
    migrate(&mut connection)?;
    Ok(connection)
}

fn back_up(
    connection: &Connection,
    path: &Utf8Path,
    backups: &Utf8Path,
    version: i64,
) -> Result<(), StoreError> {
    let unusable = |source| StoreError::Open { path: path.to_owned(), source };
    make_backups(backups).map_err(unusable)?;
    let stamp = clock::now().replace([':', '.'], "-");
    let target = backups.join(format!("conveyor-v{version}-{stamp}.db"));
    new_file(&target).map_err(unusable)?;
    connection.backup("main", &target, None)?;
    remove_old_backups(backups, &target).map_err(unusable)
}

/// Removes all but the newest, of which this one is the first: where the clock was set back its time is not the newest.
fn remove_old_backups(backups: &Utf8Path, newest: &Utf8Path) -> io::Result<()> {
    let mut files: Vec<_> = backups
        .read_dir_utf8()?
        .filter_map(Result::ok)
        .map(|entry| entry.into_path())
        .filter(|path| path.file_name().is_some_and(|name| name.starts_with("conveyor-v")))
        .filter(|path| path != newest)
        .collect();
    files.sort_by_key(|path| path.metadata().and_then(|meta| meta.modified()).ok());
    for old in files.iter().rev().skip(KEPT_BACKUPS - 1) {
        fs::remove_file(old)?;
    }
    Ok(())
}

/// A connection for work beside the writer, which never waits for a lock.
pub(super) fn maintenance(path: &Utf8Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::ZERO)?;
    reach_the_disk(&connection)?;
    Ok(connection)
}

/// A reader cannot write, whatever its statements are.
const READ_ONLY: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

fn prepare_reader(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(128);
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")
}

/// A reader without anything in its caches.
pub(super) fn new_reader(path: &Utf8Path) -> Result<Connection, StoreError> {
    let mut connection = Connection::open_with_flags(path, READ_ONLY)?;
    prepare_reader(&mut connection)?;
    Ok(connection)
}

pub(super) fn readers(path: &Utf8Path) -> Result<r2d2::Pool<SqliteConnectionManager>, StoreError> {
    let manager = SqliteConnectionManager::file(path).with_flags(READ_ONLY).with_init(prepare_reader);
    Ok(r2d2::Pool::builder()
        .max_size(READERS)
        .min_idle(Some(1))
        .idle_timeout(Some(READER_IDLE))
        .connection_timeout(Duration::from_secs(10))
        .build(manager)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{changes::Changes, store::Store};
    use camino::Utf8PathBuf;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        (dir, path)
    }

    #[track_caller]
    fn refused(path: &Utf8Path) -> StoreError {
        Store::open(path, &path.with_extension("backups"), Changes::default()).unwrap_err()
    }

    #[test]
    fn the_migrations_are_valid_and_leave_a_trail() {
        let (_dir, folder) = folder();
        let connection = writer(&folder.join("a.db"), &folder).unwrap();
        let trail: Vec<i64> = connection
            .prepare("select version from schema_migrations order by version")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(trail, (1..=SCHEMA_VERSION).collect::<Vec<_>>());
        Migrations::from_slice(MIGRATIONS).validate().unwrap();
    }

    #[test]
    fn a_new_backup_is_kept_although_the_clock_was_set_back() {
        let (_dir, folder) = folder();
        let make = |name: &str| {
            let path = folder.join(format!("conveyor-v1-{name}.db"));
            (fs::File::create(&path).unwrap(), path)
        };
        for number in 0..=KEPT_BACKUPS {
            make(&number.to_string());
        }
        let (file, newest) = make("newest");
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        remove_old_backups(&folder, &newest).unwrap();
        assert_eq!((newest.exists(), folder.read_dir().unwrap().count()), (true, KEPT_BACKUPS));
    }

    fn checked_in(version: i64) -> Utf8PathBuf {
        let folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/databases");
        folder.join(format!("v{version}.db"))
    }

    /// All tables, indexes and triggers, and how the connection is set.
    fn shape(connection: &Connection) -> (Vec<[Option<String>; 3]>, Vec<String>) {
        let schema = connection
            .prepare("select type, name, sql from sqlite_schema order by type, name")
            .unwrap()
            .query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let pragmas = [
            "application_id",
            "user_version",
            "auto_vacuum",
            "foreign_keys",
            "journal_mode",
            "synchronous",
            "fullfsync",
            "checkpoint_fullfsync",
            "temp_store",
        ];
        let shown =
            |name| connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
        (schema, pragmas.map(|name| format!("{name} {:?}", shown(name).unwrap())).to_vec())
    }

    #[test]
    fn a_database_of_each_released_version_opens_and_becomes_like_a_new_one() {
        let (_dir, folder) = folder();
        let fresh = writer(&folder.join("fresh.db"), &folder).unwrap();
        for version in 1..=SCHEMA_VERSION {
            let path = folder.join(format!("v{version}.db"));
            fs::copy(checked_in(version), &path).expect(
                "make it: cargo test -p conveyord --lib -- --ignored write_the_database_of_this_version",
            );
            let opened = writer(&path, &folder.join("backups")).unwrap();
            assert_eq!(shape(&opened), shape(&fresh), "version {version}");
            for set in ["fullfsync Integer(1)", "checkpoint_fullfsync Integer(1)"] {
                assert!(shape(&opened).1.iter().any(|shown| shown == set), "{set}");
            }
            let task: String = opened.query_row("select goal from tasks", [], |row| row.get(0)).unwrap();
            assert_eq!(task, "an old goal");
        }
    }

    /// Run once for each version, before it is released:
    /// `cargo test -p conveyord --lib -- --ignored write_the_database_of_this_version`
    #[test]
    #[ignore = "writes the file that is checked in"]
    fn write_the_database_of_this_version() {
        let path = checked_in(SCHEMA_VERSION);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        let mut connection = Connection::open(&path).unwrap();
        // Small pages make a small file; the daemon takes any.
        connection.pragma_update(None, "page_size", 512).unwrap();
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").unwrap();
        common_pragmas(&connection).unwrap();
        migrate(&mut connection).unwrap();
        connection
            .execute_batch(
                "insert into tasks (id, name, goal, state, created_at, updated_at)
                     values ('task-1', 'old', 'an old goal', 'managed', '2026-01-31', '2026-01-31');
                 insert into sessions (id, name, role, identity_token, cwd, registered_at, state)
                     values ('session-1', 'worker', 'worker', 'token-1', '', '2026-01-31', 'active'),
                            ('session-2', 'manager', 'manager', 'token-2', '', '2026-01-31', 'active');
                 insert into bindings (id, task_id, worker_session_id, manager_session_id, state, created_at)
                     values ('binding-1', 'task-1', 'session-1', 'session-2', 'active', '2026-01-31');
                 insert into codex_events (session_id, timestamp, type, payload_json, byte_offset, ingested_at)
                     values ('session-1', '2026-01-31', 'event_msg', '{}', 0, '2026-01-31');",
            )
            .unwrap();
    }

    #[test]
    fn a_new_file_is_private_and_tuned() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, folder) = folder();
        let path = folder.join("sub/conveyor.db");
        let connection = writer(&path, &folder).unwrap();
        let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0)).unwrap();
        let vacuum: i64 = connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0)).unwrap();
        assert_eq!((page, vacuum), (4096, 2));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn what_is_not_ours_is_refused_and_left_alone() {
        let (_dir, folder) = folder();
        let text = folder.join("text.db");
        fs::write(
            &text,
            "no database at all, just some text that is longer than a header of one\n".repeat(20),
        )
        .unwrap();
        assert_eq!(refused(&text).kind(), "not_a_database");
        let foreign = folder.join("foreign.db");
        Connection::open(&foreign).unwrap().execute_batch("create table t (a)").unwrap();
        let before = fs::read(&foreign).unwrap();
        assert_eq!(refused(&foreign).kind(), "foreign_database");
        assert_eq!(fs::read(&foreign).unwrap(), before);
        let newer = folder.join("newer.db");
        drop(writer(&newer, &folder).unwrap());
        Connection::open(&newer).unwrap().pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
        let error = refused(&newer);
        assert_eq!(error.kind(), "newer_database");
        assert!(error.to_string().contains(&(SCHEMA_VERSION + 1).to_string()));
    }

    #[test]
    fn only_the_newest_backups_are_kept() {
        let (_dir, folder) = folder();
        let path = folder.join("conveyor.db");
        let connection = writer(&path, &folder).unwrap();
        for version in 0..8 {
            back_up(&connection, &path, &folder.join("backups"), version).unwrap();
        }
        assert_eq!(folder.join("backups").read_dir_utf8().unwrap().count(), KEPT_BACKUPS);
    }
}
