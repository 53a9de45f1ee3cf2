//! The files beneath the journal: the few operations that it needs, on a real directory, and in tests on one that
//! fails when told to.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A directory of numbered files, of which at most one is written at a time.
pub(in crate::broker) trait Disk: Send {
    /// The numbers of the files that there are, in order.
    fn list(&mut self) -> io::Result<Vec<u64>>;
    /// All bytes of a file.
    fn read(&mut self, file: u64) -> io::Result<Vec<u8>>;
    /// Makes a file of that many zeros, whose space is taken and which is still there after a crash. When that
    /// fails there is no such file.
    fn create(&mut self, file: u64, bytes: u64) -> io::Result<()>;
    /// Writes into a file, within its length.
    fn write(&mut self, file: u64, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Returns when all that was written to the file survives a crash.
    fn sync(&mut self, file: u64) -> io::Result<()>;
    /// Gives back a file's space after that many bytes.
    fn truncate(&mut self, file: u64, bytes: u64) -> io::Result<()>;
    /// Removes a file, for good: later removals do not survive a crash before this one does.
    fn remove(&mut self, file: u64) -> io::Result<()>;
}

/// A real directory, which this process has for itself.
pub(in crate::broker) struct Directory {
    path: PathBuf,
    /// Locked as long as it is open; the system unlocks it when the process ends, however it ends.
    _lock: File,
    /// The file that was written last.
    open: Option<(u64, File)>,
}

const LOCK: &str = "lock";
const EXTENSION: &str = "log";

/// The file that is being made; it gets its name when it is whole.
const UNFINISHED: &str = "unfinished";

/// Zeros that are written at once.
const ZEROS: usize = 256 << 10;

// === impl Directory ===

impl Directory {
    /// Makes the directory if there is none, and locks it.
    pub(in crate::broker) fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::ResourceBusy, "another process has this queue open")
            }
            TryLockError::Error(error) => error,
        })?;
        Ok(Self { path: path.to_owned(), _lock: lock, open: None })
    }

    fn name(&self, file: u64) -> PathBuf {
        self.path.join(format!("{file:020}.{EXTENSION}"))
    }

    fn file(&mut self, file: u64) -> io::Result<&File> {
        let open = match self.open.take() {
            Some((number, open)) if number == file => open,
            _ => OpenOptions::new().write(true).open(self.name(file))?,
        };
        Ok(&self.open.insert((file, open)).1)
    }

    /// Makes what files there are survive a crash.
    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn fill(&self, unfinished: &Path, name: &Path, bytes: u64) -> io::Result<File> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(unfinished)?;
        // Written rather than allocated: every file system takes the space for it, and flushing data into blocks
        // that are there already needs no change to the file's own records.
        let zeros = vec![0; ZEROS];
        let mut left = bytes;
        while left > 0 {
            let piece = left.min(ZEROS as u64) as usize;
            file.write_all(&zeros[..piece])?;
            left -= piece as u64;
        }
        file.sync_all()?;
        fs::rename(unfinished, name)?;
        self.sync_names()?;
        Ok(file)
    }
}

impl Disk for Directory {
    fn list(&mut self) -> io::Result<Vec<u64>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = PathBuf::from(entry?.file_name());
            if path.extension().is_some_and(|extension| extension == EXTENSION)
                && let Some(number) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
            {
                files.push(number);
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    fn read(&mut self, file: u64) -> io::Result<Vec<u8>> {
        fs::read(self.name(file))
    }

    fn create(&mut self, file: u64, bytes: u64) -> io::Result<()> {
        let unfinished = self.path.join(UNFINISHED);
        let filled = self.fill(&unfinished, &self.name(file), bytes);
        if filled.is_err() {
            // Its space is needed. What cannot be removed is overwritten by the next attempt.
            let _ = fs::remove_file(&unfinished);
        }
        self.open = Some((file, filled?));
        Ok(())
    }

    fn write(&mut self, file: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(file)?.write_all_at(bytes, offset)
    }

    fn sync(&mut self, file: u64) -> io::Result<()> {
        self.file(file)?.sync_data()
    }

    fn truncate(&mut self, file: u64, bytes: u64) -> io::Result<()> {
        let file = self.file(file)?;
        file.set_len(bytes)?;
        file.sync_all()
    }

    fn remove(&mut self, file: u64) -> io::Result<()> {
        fs::remove_file(self.name(file))?;
        self.sync_names()
    }
}
