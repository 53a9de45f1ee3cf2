//! The memory that monitors' regular expressions may take.

use podgauge_promql::Re2;

/// Room for regular expressions: for each of them, and for all that are read into it.
#[derive(Debug)]
pub(crate) struct RegexRoom {
    each: usize,
    all: usize,
    left: usize,
}

/// What the smallest expression counts as, in bytes; larger ones count as the next power of four times that.
const SMALLEST: usize = 4 << 10;

// === impl RegexRoom ===

impl RegexRoom {
    pub(crate) fn new(each: usize, all: usize) -> Self {
        Self { each, all, left: all }
    }

    /// What was taken of it.
    pub(crate) fn taken(&self) -> usize {
        self.all - self.left
    }

    /// Reads an expression that matches a whole text.
    ///
    /// # Errors
    /// What is wrong with it, or that there is no room, in words that end a sentence.
    pub(crate) fn read(&mut self, text: &str) -> Result<Re2, String> {
        // An expression does not tell its size; the limits that it fits into do.
        let mut limit = SMALLEST.min(self.each);
        loop {
            match Re2::whole(text, limit) {
                Ok(regex) => {
                    self.left = self.left.checked_sub(limit).ok_or_else(|| {
                        format!("needs {limit} bytes, and {} are left of --monitor-regexes-limit", self.left)
                    })?;
                    return Ok(regex);
                }
                Err(why) if limit >= self.each => return Err(why),
                Err(_) => limit = limit.saturating_mul(4).min(self.each),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_count_by_what_they_need() {
        let mut room = RegexRoom::new(256 << 10, 1 << 20);
        assert!(room.read("go_.*").unwrap().is_match("go_info"));
        let small = room.taken();
        assert!((SMALLEST..=64 << 10).contains(&small), "{small}");
        room.read(r"\pL{2}").unwrap();
        assert!(room.taken() - small > small, "{room:?}");
        assert!(room.read("a(").unwrap_err().contains("unclosed group"));
        assert!(room.read(r"\pL{1000}").unwrap_err().contains("memory"));
        let before = room.taken();
        let why = (0..100).find_map(|_| room.read(r"\pL{2}").err()).unwrap();
        assert!(why.contains("--monitor-regexes-limit"), "{why}");
        assert!(room.taken() > before && room.taken() <= 1 << 20);
    }
}
