//! The folder that a run leaves its files in. One run at a time has it; another takes the next of the same name.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// How many runs may have folders of the same name beside each other.
const MOST: usize = 64;

/// The files that a run leaves beside its logs.
const FILES: [&str; 6] =
    ["kubeconfig", "podgauge.crt", "podgauge.key", "podgauge.kubeconfig", "report.html", "run.json"];

/// A folder that is ours until this is dropped, or the process ends.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

/// No folder could be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot write in {}: {error}; choose another folder: make demo OUT=FOLDER (--out)", .path.display())]
pub struct FolderError {
    path: PathBuf,
    error: io::Error,
}

// === impl Folder ===

impl Folder {
    /// Takes `path`, or `path-2` and so on if other runs have those, and removes what an earlier run left there.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn claim(path: &Path) -> Result<Self, FolderError> {
        let fail = |error| FolderError { path: path.to_owned(), error };
        let path = std::path::absolute(path).map_err(fail)?;
        for number in 1..=MOST {
            let mut name = path.clone().into_os_string();
            if number > 1 {
                name.push(format!("-{number}"));
            }
            if let Some(folder) = Self::take(PathBuf::from(name)).map_err(fail)? {
                return Ok(folder);
            }
        }
        Err(fail(io::Error::other("too many runs have folders of this name")))
    }

    /// The folder itself, an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the pods' and podgauge's logs go.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// Writes a file that only its owner can read, and answers its path.
    pub(super) fn write_private(&self, name: &str, text: &str) -> Result<PathBuf, FolderError> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = self.path.join(name);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written =
            options.open(&path).and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()));
        written.map(|()| path.clone()).map_err(|error| FolderError { path, error })
    }

    /// Writes a file.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, FolderError> {
        let path = self.path.join(name);
        std::fs::write(&path, text).map(|()| path.clone()).map_err(|error| FolderError { path, error })
    }

    fn take(path: PathBuf) -> io::Result<Option<Self>> {
        std::fs::create_dir_all(&path)?;
        let lock = File::create(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let folder = Self { path, _lock: lock };
        remove(std::fs::remove_dir_all(folder.logs()))?;
        for name in FILES {
            remove(std::fs::remove_file(folder.path.join(name)))?;
        }
        std::fs::create_dir(folder.logs())?;
        Ok(Some(folder))
    }
}

/// What was not there is removed.
fn remove(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// A path as people type it: relative to where they are, if it is below.
pub(super) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_have_two_folders_and_the_next_one_starts_afresh() {
        let path = std::env::temp_dir().join(format!("demo-folder-{}", std::process::id()));
        let first = Folder::claim(&path).unwrap();
        std::fs::write(first.path().join("report.html"), "old").unwrap();
        let second = Folder::claim(&path).unwrap();
        assert_eq!(second.path(), Path::new(&format!("{}-2", path.display())));
        drop(first);
        let third = Folder::claim(&path).unwrap();
        assert_eq!(third.path(), path);
        assert!(!path.join("report.html").exists());
        for folder in [second, third] {
            std::fs::remove_dir_all(folder.path()).unwrap();
        }
    }
}
