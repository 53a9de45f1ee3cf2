//! Reading small files, and no others.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The largest certificate, key or CA file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The whole file.
///
/// # Errors
/// As the file system's; and `FileTooLarge` when there is more than [`MAX_FILE_BYTES`].
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("more than {MAX_FILE_BYTES} bytes, which no certificate file needs"),
        ));
    }
    Ok(bytes)
}
