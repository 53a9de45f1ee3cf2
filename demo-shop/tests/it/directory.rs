//! A directory for one test, removed with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// An empty directory within the build's own for temporary files.
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
}

// === impl Directory ===

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("{name}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique);
        fs::create_dir_all(&path).unwrap();
        Self { path }
    }

    /// The path as a setting's value.
    pub(crate) fn setting(&self) -> &str {
        self.path.to_str().expect("the build's directory is named in UTF-8")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed is in the build's directory for temporary files.
        let _ = fs::remove_dir_all(&self.path);
    }
}
