//! What containers write, kept in files of bounded size.
//!
//! `FOLDER/NAMESPACE_POD/CONTAINER/N.log` is what the N-th run wrote; a file that is full becomes `N.log.1`, over an
//! earlier one of that name, and a new one begins. Of each container the newest run and the one before are kept; of
//! deleted pods, those of the last few.

use crate::apiserver::LogFiles;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

/// The folder of all logs.
#[derive(Debug)]
pub(super) struct Logs {
    folder: PathBuf,
    max_file_bytes: u64,
    max_deleted_pods: usize,
    deleted: Mutex<VecDeque<PathBuf>>,
}

// === impl Logs ===

impl Logs {
    pub(super) fn new(folder: PathBuf, max_file_bytes: u64, max_deleted_pods: usize) -> io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder, max_file_bytes, max_deleted_pods, deleted: Mutex::default() })
    }

    /// Copies everything from `output` to the log of one run, until its end.
    ///
    /// What cannot be written is read all the same: a container must not stand still because a disk is full.
    pub(super) async fn capture(
        &self,
        pod: &str,
        container: &str,
        run: u64,
        mut output: impl AsyncRead + Unpin,
    ) {
        let path = self.container(pod, container).join(format!("{run}.log"));
        let mut file = match self.begin(&path, run).await {
            Ok(file) => Some(file),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "cannot write a log");
                None
            }
        };
        let mut written = 0;
        let mut buffer = vec![0; 8 * 1024];
        loop {
            let read = match output.read(&mut buffer).await {
                Ok(read) if read > 0 => &buffer[..read],
                _ => break,
            };
            if written + read.len() as u64 > self.max_file_bytes && written > 0 {
                file = rotate(&path).await.ok();
                written = 0;
            }
            if let Some(open) = &mut file
                && open.write_all(read).await.is_err()
            {
                file = None;
            }
            written += read.len() as u64;
        }
        if let Some(mut file) = file {
            // Nobody is left who could do something about a write that fails.
            let _ = file.flush().await;
        }
    }

    /// Lets the logs of a pod rest, and removes those of the pod that has rested longest if there are too many.
    pub(super) fn retire(&self, pod: &str) {
        let mut deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        deleted.push_back(self.folder.join(pod));
        while deleted.len() > self.max_deleted_pods {
            if let Some(oldest) = deleted.pop_front() {
                // A pod whose containers never ran has none.
                let _ = std::fs::remove_dir_all(oldest);
            }
        }
    }

    fn container(&self, pod: &str, container: &str) -> PathBuf {
        self.folder.join(pod).join(container)
    }

    async fn begin(&self, path: &Path, run: u64) -> io::Result<File> {
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder).await?;
            if let Some(forgotten) = run.checked_sub(2) {
                for name in [format!("{forgotten}.log"), format!("{forgotten}.log.1")] {
                    // It may never have been written.
                    let _ = tokio::fs::remove_file(folder.join(name)).await;
                }
            }
        }
        File::create(path).await
    }
}

async fn rotate(path: &Path) -> io::Result<File> {
    let mut older = path.as_os_str().to_owned();
    older.push(".1");
    tokio::fs::rename(path, older).await?;
    File::create(path).await
}

/// Where the logs are, for those who read them.
#[derive(Clone, Debug)]
pub(super) struct LogFolder(pub(super) PathBuf);

impl LogFiles for LogFolder {
    fn files(&self, namespace: &str, pod: &str, container: &str, run: u64) -> Vec<PathBuf> {
        let folder = self.0.join(folder_of(namespace, pod)).join(container);
        [format!("{run}.log.1"), format!("{run}.log")].map(|name| folder.join(name)).to_vec()
    }
}

/// The name of a pod's folder.
pub(super) fn folder_of(namespace: &str, pod: &str) -> String {
    // No name of an object holds an underscore.
    format!("{namespace}_{pod}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn logs_are_bounded_in_every_direction() {
        let folder = std::env::temp_dir().join(format!("sandbox-logs-{}", std::process::id()));
        let logs = Logs::new(folder.clone(), 10, 1).unwrap();
        let read = |path: &str| std::fs::read_to_string(folder.join(path)).ok();
        logs.capture("n_a", "c", 0, &b"short\n"[..]).await;
        assert_eq!(read("n_a/c/0.log").as_deref(), Some("short\n"));
        // One byte more than a buffer: two reads, of which the second no longer fits.
        logs.capture("n_a", "c", 1, &vec![b'x'; 8 * 1024 + 1][..]).await;
        assert_eq!(read("n_a/c/1.log").as_deref(), Some("x"));
        assert_eq!(read("n_a/c/1.log.1").map(|text| text.len()), Some(8 * 1024));
        logs.capture("n_a", "c", 2, &b""[..]).await;
        assert_eq!((read("n_a/c/0.log"), read("n_a/c/2.log").as_deref()), (None, Some("")));
        logs.capture("n_b", "c", 0, &b"b"[..]).await;
        logs.retire("n_a");
        assert!(read("n_a/c/2.log").is_some());
        logs.retire("n_b");
        assert_eq!((read("n_a/c/2.log"), read("n_b/c/0.log").as_deref()), (None, Some("b")));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
