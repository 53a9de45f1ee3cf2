//! What the driver says while it runs: lines on standard output, and on a terminal one more that is written over.

use super::table::{Look, shortened};
use std::io::{IsTerminal as _, Write as _};

/// Standard output.
#[derive(Debug)]
pub(super) struct Screen {
    look: Look,
    /// Whether the last line is one to be written over.
    live: bool,
}

// === impl Screen ===

impl Screen {
    pub(super) fn new() -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        Self { look: if is_terminal { Look::Rich } else { Look::Plain }, live: false }
    }

    pub(super) fn look(&self) -> Look {
        self.look
    }

    /// Something that has been done.
    pub(super) fn done(&mut self, what: &str, detail: &str) {
        match self.look {
            Look::Plain => self.line(&format!("  ok  {what:<18} {detail}")),
            Look::Rich => self.line(&format!("  \x1b[32m✓\x1b[0m  {what:<18} \x1b[2m{detail}\x1b[0m")),
        }
    }

    /// A line that stays.
    pub(super) fn line(&mut self, text: &str) {
        self.clear();
        self.write(&format!("{text}\n"));
    }

    /// A line that the next one is written over; on terminals alone.
    pub(super) fn live(&mut self, text: &str) {
        if self.look == Look::Rich {
            self.clear();
            self.write(text);
            self.live = true;
        }
    }

    /// Says what is being waited for; on terminals alone.
    pub(super) fn waiting(&mut self, what: &str) {
        self.live(&format!("  \x1b[33m…\x1b[0m  {}", shortened(what, 74)));
    }

    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.live) {
            self.write("\r\x1b[K");
        }
    }

    fn write(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        // Whoever closed the pipe has seen enough; the run goes on, and its report stays.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.clear();
    }
}
