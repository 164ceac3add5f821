//! The state root as an opened folder. Every file below it is opened relative to it: no link is followed, no name
//! leads out of it, and nothing but a regular file is opened.
//!
//! A worker's program runs as the same user and may write into the state root. So a link there could make the daemon
//! write into any file of the user, and a named pipe would hold up whoever opens it.

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, mkdirat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;

/// Mode of the folders that are made: they are the owner's alone.
const FOLDER: Mode = Mode::RWXU;
/// Mode of the files that are made.
const FILE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Device and inode of a file: what a path leads to, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: rustix::fs::Dev,
    inode: u64,
}

impl Identity {
    /// The identity of an open file.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn of(file: impl AsFd) -> io::Result<Self> {
        Ok(Self::from(&fstat(file)?))
    }

    /// The identity of the file that a path leads to, a link at its end not followed; `None` when there is none.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn at(path: &Utf8Path) -> io::Result<Option<Self>> {
        found(statat(CWD, path.as_str(), AtFlags::SYMLINK_NOFOLLOW)).map(|stat| stat.as_ref().map(Self::from))
    }
}

impl From<&Stat> for Identity {
    fn from(stat: &Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To read what is there.
    Read,
    /// To read and write what is there.
    ReadWrite,
    /// To read and write; made when it is missing.
    ReadWriteOrNew,
    /// To write at its end; made when it is missing.
    Append,
    /// To write from its beginning, without what was in it; made when it is missing.
    Replace,
    /// To write a file that must not be there yet.
    New,
}

impl Access {
    fn flags(self) -> OFlags {
        match self {
            Self::Read => OFlags::RDONLY,
            Self::ReadWrite => OFlags::RDWR,
            Self::ReadWriteOrNew => OFlags::RDWR | OFlags::CREATE,
            Self::Append => OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE,
            Self::Replace => OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC,
            Self::New => OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL,
        }
    }
}

/// An opened folder: the state root, or a folder below it.
#[derive(Debug)]
pub struct Opened {
    folder: OwnedFd,
    path: Utf8PathBuf,
}

/// Keeps room on the disk for what is written to a new file later, so that even a full disk can be told of. Where the
/// file system keeps none, nothing is lost but that. macOS could only do it with a longer file.
pub fn keep_room(file: &File, bytes: u64) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, bytes);
    #[cfg(not(target_os = "linux"))]
    let _ = (file, bytes);
}

impl Opened {
    /// Opens a state root. The path to it may hold links; its owner and mode are checked behind them.
    ///
    /// # Errors
    /// When it is missing, is no folder, belongs to another user, or other users can write to it.
    pub fn open(root: &Utf8Path) -> io::Result<Self> {
        let folder =
            openat(CWD, root.as_str(), OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, FOLDER)?;
        let stat = fstat(&folder)?;
        let user = rustix::process::geteuid().as_raw();
        if stat.st_uid != user {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "it belongs to user {} and you are user {user}: name a state root of your own with \
                     CONVEYOR_STATE_ROOT",
                    stat.st_uid
                ),
            ));
        }
        let mode = Mode::from_raw_mode(stat.st_mode);
        if mode.intersects(Mode::WGRP | Mode::WOTH) {
            let message = format!(
                "other users can write to the state root {root} (mode {:04o}): chmod 700 \"{root}\"",
                mode.bits() & 0o7777
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        Ok(Self { folder, path: root.to_owned() })
    }

    /// Opens a folder that is no state root, to read what others have left there: its owner and mode may be any.
    ///
    /// # Errors
    /// When it is missing, or is no folder.
    pub fn foreign(folder: &Utf8Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self { folder: openat(CWD, folder.as_str(), flags, FOLDER)?, path: folder.to_owned() })
    }

    /// As [`Opened::open`]; the folder is made when it is missing.
    ///
    /// # Errors
    /// As [`Opened::open`], and when the folder cannot be made.
    pub fn create(root: &Utf8Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        Self::open(root)
    }

    /// The path by which the folder was opened, for messages.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Opens a folder in this one.
    ///
    /// # Errors
    /// When it is missing, or is no folder but a link to one.
    pub fn folder(&self, name: &str) -> io::Result<Self> {
        let name = part(name)?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let folder = openat(&self.folder, name, flags, FOLDER).map_err(|error| match error {
            // Linux says of a link that it is no folder, macOS that there are too many.
            Errno::LOOP | Errno::NOTDIR => self.no_folder(name, error),
            error => error.into(),
        })?;
        Ok(Self { folder, path: self.path.join(name) })
    }

    /// As [`Opened::folder`]; the folder is made when it is missing.
    ///
    /// # Errors
    /// As [`Opened::folder`], and when it cannot be made.
    pub fn make_folder(&self, name: &str) -> io::Result<Self> {
        match mkdirat(&self.folder, part(name)?, FOLDER) {
            Ok(()) | Err(Errno::EXIST) => self.folder(name),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a file in this folder.
    ///
    /// # Errors
    /// When it is no regular file, a link for example, and when the system refuses.
    pub fn file(&self, name: &str, access: Access) -> io::Result<File> {
        let name = part(name)?;
        // A pipe without a reader cannot be opened for writing, and the error does not say that it is a pipe.
        if let Some(stat) = found(statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW))?
            && access != Access::New
        {
            must_be_regular(name, &stat)?;
        }
        // Without NONBLOCK a pipe that comes in between would be waited for. A regular file ignores it.
        let flags = access.flags() | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&self.folder, name, flags, FILE).map_err(|error| match error {
            Errno::LOOP => is_a_link(name),
            error => error.into(),
        })?;
        must_be_regular(name, &fstat(&file)?)?;
        Ok(file.into())
    }

    /// Opens a file to read it; `None` when it is missing.
    ///
    /// # Errors
    /// As [`Opened::file`].
    pub fn find(&self, name: &str) -> io::Result<Option<File>> {
        match self.file(name, Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            file => file.map(Some),
        }
    }

    /// Opens a file below this folder by its whole path, and makes no folder.
    ///
    /// # Errors
    /// As [`Opened::file`], and when the path does not lead below this folder.
    pub fn at(&self, path: &Utf8Path, access: Access) -> io::Result<File> {
        let (folders, name) = self.parts(path)?;
        match self.descend(&folders, Self::folder)? {
            Some(folder) => folder.file(name, access),
            None => self.file(name, access),
        }
    }

    /// As [`Opened::at`]; the folders between are made.
    ///
    /// # Errors
    /// As [`Opened::at`].
    pub fn make_at(&self, path: &Utf8Path, access: Access) -> io::Result<File> {
        let (folders, name) = self.parts(path)?;
        match self.descend(&folders, Self::make_folder)? {
            Some(folder) => folder.file(name, access),
            None => self.file(name, access),
        }
    }

    /// Gives a file of this folder another name in it, in place of what has that name.
    ///
    /// # Errors
    /// Those of the system.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&self.folder, part(from)?, &self.folder, part(to)?)?)
    }

    /// Removes a file of this folder, or the link in its place.
    ///
    /// # Errors
    /// Those of the system.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.folder, part(name)?, AtFlags::empty())?)
    }

    /// Removes an empty folder of this folder.
    ///
    /// # Errors
    /// Those of the system.
    pub fn remove_folder(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.folder, part(name)?, AtFlags::REMOVEDIR)?)
    }

    /// Refuses a link of this name; it is fine when nothing is there.
    ///
    /// # Errors
    /// When it is a link, or the system does not tell.
    pub fn must_be_no_link(&self, name: &str) -> io::Result<()> {
        match found(statat(&self.folder, part(name)?, AtFlags::SYMLINK_NOFOLLOW))? {
            Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => Err(is_a_link(name)),
            _ => Ok(()),
        }
    }

    fn parts<'p>(&self, path: &'p Utf8Path) -> io::Result<(Vec<&'p str>, &'p str)> {
        let relative = path.strip_prefix(&self.path).map_err(|_| leads_out(path.as_str()))?;
        let parts = relative.components().map(|component| match component {
            Utf8Component::Normal(name) => Ok(name),
            _ => Err(leads_out(path.as_str())),
        });
        let mut parts: Vec<&str> = parts.collect::<io::Result<_>>()?;
        let name = parts.pop().ok_or_else(|| leads_out(path.as_str()))?;
        Ok((parts, name))
    }

    fn descend(
        &self,
        folders: &[&str],
        step: impl Fn(&Self, &str) -> io::Result<Self>,
    ) -> io::Result<Option<Self>> {
        let mut at = None;
        for name in folders {
            at = Some(step(at.as_ref().unwrap_or(self), name)?);
        }
        Ok(at)
    }

    fn no_folder(&self, name: &str, error: Errno) -> io::Error {
        match statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => is_a_link(name),
            _ => error.into(),
        }
    }
}

/// A name that is one part of a path: what it is joined to holds it.
fn part(name: &str) -> io::Result<&str> {
    let mut components = Utf8Path::new(name).components();
    match (components.next(), components.next()) {
        (Some(Utf8Component::Normal(only)), None) if only == name && !name.contains('\0') => Ok(name),
        _ => Err(leads_out(name)),
    }
}

fn leads_out(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} leads out of its folder"))
}

fn is_a_link(name: &str) -> io::Error {
    io::Error::other(format!(
        "{name} is a symbolic link, and links are not followed in the state root: put the file in its place"
    ))
}

fn must_be_regular(name: &str, stat: &Stat) -> io::Result<()> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(()),
        FileType::Symlink => Err(is_a_link(name)),
        _ => Err(io::Error::other(format!("{name} is no regular file: move it away"))),
    }
}

fn found(stat: rustix::io::Result<Stat>) -> io::Result<Option<Stat>> {
    match stat {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    /// A state root in a folder of its own, which is removed at the end.
    struct Root(Utf8PathBuf);

    impl Root {
        fn new(name: &str) -> (Self, Opened) {
            let folder = std::env::temp_dir().join(format!("conveyor-opened-{}-{name}", std::process::id()));
            let root = Self(Utf8PathBuf::from_path_buf(folder).unwrap());
            let opened = Opened::create(&root.0.join("state")).unwrap();
            (root, opened)
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn files_are_made_for_the_owner_alone_and_read_again() {
        let (root, opened) = Root::new("files");
        let path = root.0.join("state/a/b/file");
        opened.make_at(&path, Access::Append).unwrap().write_all(b"text").unwrap();
        let mut text = String::new();
        opened.at(&path, Access::Read).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        for (path, mode) in [("state/a/b", 0o700), ("state/a/b/file", 0o600)] {
            assert_eq!(fs::metadata(root.0.join(path)).unwrap().permissions().mode() & 0o777, mode);
        }
        assert!(opened.find("none").unwrap().is_none());
        let folder = opened.folder("a").unwrap().folder("b").unwrap();
        folder.rename("file", "other").unwrap();
        folder.remove("other").unwrap();
        opened.folder("a").unwrap().remove_folder("b").unwrap();
    }

    #[test]
    fn no_name_leads_out() {
        let (root, opened) = Root::new("names");
        fs::write(root.0.join("victim"), "theirs").unwrap();
        for name in ["../victim", "..", ".", "", "/etc/passwd", "a/b", "a/", "a\0"] {
            let error = opened.file(name, Access::Append).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name:?}");
            assert!(opened.make_folder(name).is_err() && opened.remove(name).is_err(), "{name:?}");
        }
        for path in ["state/../victim", "victim", "state"] {
            assert!(opened.make_at(&root.0.join(path), Access::Append).is_err(), "{path}");
        }
        assert_eq!(fs::read_to_string(root.0.join("victim")).unwrap(), "theirs");
    }

    #[test]
    fn links_and_pipes_are_refused_at_once() {
        let (root, opened) = Root::new("links");
        let (state, victim) = (root.0.join("state"), root.0.join("victim"));
        fs::write(&victim, "theirs").unwrap();
        fs::create_dir(root.0.join("elsewhere")).unwrap();
        symlink(&victim, state.join("link")).unwrap();
        symlink(root.0.join("none"), state.join("dangling")).unwrap();
        symlink(root.0.join("elsewhere"), state.join("folder")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(state.join("pipe")).status().unwrap().success());
        let all = [
            Access::Read,
            Access::ReadWrite,
            Access::ReadWriteOrNew,
            Access::Append,
            Access::Replace,
            Access::New,
        ];
        for access in all {
            for name in ["link", "dangling", "pipe"] {
                assert!(opened.file(name, access).is_err(), "{name} {access:?}");
            }
        }
        let error = opened.make_folder("folder").unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
        assert!(opened.make_at(&state.join("folder/x"), Access::Append).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "theirs");
        assert!(!root.0.join("none").exists() && !root.0.join("elsewhere/x").exists());
    }

    #[test]
    fn a_root_that_others_can_write_to_is_refused() {
        let (root, _) = Root::new("mode");
        fs::set_permissions(root.0.join("state"), fs::Permissions::from_mode(0o770)).unwrap();
        let error = Opened::open(&root.0.join("state")).unwrap_err().to_string();
        assert!(error.contains("chmod 700"), "{error}");
    }
}
