//! Answers that are good for a while, up to a number of bytes.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use podgauge_promql::Point;
use tokio::time::Instant;

/// All answers live equally long, so that the oldest one is always the first to go.
#[derive(Debug)]
pub(crate) struct Cache {
    ttl: Duration,
    most_bytes: usize,
    bytes: usize,
    entries: HashMap<Arc<str>, Entry>,
    /// Queries by age, the oldest first.
    order: VecDeque<Arc<str>>,
}

#[derive(Debug)]
struct Entry {
    points: Arc<[Point]>,
    since: Instant,
    bytes: usize,
}

// === impl Cache ===

impl Cache {
    pub(crate) fn new(ttl: Duration, most_bytes: usize) -> Self {
        Self { ttl, most_bytes, bytes: 0, entries: HashMap::new(), order: VecDeque::new() }
    }

    pub(crate) fn get(&self, query: &str, now: Instant) -> Option<Arc<[Point]>> {
        let entry = self.entries.get(query)?;
        (now.saturating_duration_since(entry.since) < self.ttl).then(|| Arc::clone(&entry.points))
    }

    /// Remembers an answer of `bytes`; one that is larger than all room is not remembered.
    pub(crate) fn put(&mut self, query: &str, points: &Arc<[Point]>, bytes: usize, now: Instant) {
        let bytes = bytes.saturating_add(query.len());
        if self.ttl.is_zero() || bytes > self.most_bytes {
            return;
        }
        // Two may have asked the same at the same time; the later answer is put in the place of the other.
        if let Some(old) = self.entries.remove(query) {
            self.bytes -= old.bytes;
            self.order.retain(|other| **other != *query);
        }
        while let Some(oldest) = self.order.front() {
            let entry = self.entries.get(oldest);
            let is_over = entry.is_none_or(|entry| now.saturating_duration_since(entry.since) >= self.ttl);
            if !is_over && self.bytes + bytes <= self.most_bytes {
                break;
            }
            self.bytes -= entry.map_or(0, |entry| entry.bytes);
            if let Some(oldest) = self.order.pop_front() {
                self.entries.remove(&oldest);
            }
        }
        let query: Arc<str> = query.into();
        self.bytes += bytes;
        self.order.push_back(Arc::clone(&query));
        self.entries.insert(query, Entry { points: Arc::clone(points), since: now, bytes });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_good_for_a_while() {
        let (mut cache, now) = (Cache::new(Duration::from_secs(15), 100), Instant::now());
        let points: Arc<[Point]> = Arc::from([]);
        cache.put("a", &points, 10, now);
        assert!(cache.get("a", now + Duration::from_secs(14)).is_some());
        assert!(cache.get("a", now + Duration::from_secs(15)).is_none());
        assert!(cache.get("b", now).is_none());
        let mut none = Cache::new(Duration::ZERO, 100);
        none.put("a", &points, 10, now);
        assert!(none.get("a", now).is_none());
    }

    #[test]
    fn the_oldest_make_room() {
        let (mut cache, now) = (Cache::new(Duration::from_secs(15), 100), Instant::now());
        let points: Arc<[Point]> = Arc::from([]);
        for (query, bytes) in [("a", 39), ("b", 39), ("a", 39), ("c", 39), ("large", 99)] {
            cache.put(query, &points, bytes, now);
        }
        let kept: Vec<_> = ["a", "b", "c", "large"].map(|query| cache.get(query, now).is_some()).into();
        assert_eq!(kept, [true, false, true, false]);
        assert_eq!((cache.bytes, cache.order.len()), (80, 2));
        let later = now + Duration::from_secs(15);
        cache.put("d", &points, 9, later);
        assert_eq!((cache.bytes, cache.entries.len()), (10, 1));
    }
}
