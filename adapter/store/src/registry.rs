//! What the writer, the recorders and the readers share.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak},
};

use crate::{Config, Layout, keep::Keep, namespace::Namespace, room::Room};

/// The pods of each namespace that has any.
pub(crate) type Pods = HashMap<Arc<str>, Namespace>;

#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) config: Config,
    pub(crate) room: Room,
    pub(crate) keep: Keep,
    pods: RwLock<Pods>,
    layouts: Mutex<Layouts>,
}

/// Layouts in use, by the hash of their content. Dead ones are dropped when their number could have
/// doubled since the last look, so that interning stays constant in cost.
#[derive(Debug, Default)]
struct Layouts {
    hasher: RandomState,
    by_hash: HashMap<u64, Vec<Weak<Layout>>>,
    inserted: usize,
    alive: usize,
    last_id: u64,
}

// === impl Registry ===

impl Registry {
    pub(crate) fn new(config: Config) -> Self {
        let room = Room::new(&config);
        Self { config, room, keep: Keep::default(), pods: RwLock::default(), layouts: Mutex::default() }
    }

    pub(crate) fn pods(&self) -> RwLockReadGuard<'_, Pods> {
        self.pods.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pods_mut(&self) -> RwLockWriteGuard<'_, Pods> {
        self.pods.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn intern(&self, layout: Layout) -> Arc<Layout> {
        self.layouts.lock().unwrap_or_else(PoisonError::into_inner).intern(layout, &self.room)
    }

    pub(crate) fn layouts(&self) -> Vec<Arc<Layout>> {
        let layouts = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        layouts.by_hash.values().flatten().filter_map(Weak::upgrade).collect()
    }
}

// === impl Layouts ===

impl Layouts {
    fn intern(&mut self, layout: Layout, room: &Room) -> Arc<Layout> {
        let hash = self.hasher.hash_one(&layout);
        let same =
            self.by_hash.get(&hash).into_iter().flatten().filter_map(Weak::upgrade).find(|l| **l == layout);
        if let Some(layout) = same {
            return layout;
        }
        if self.inserted >= 2 * self.alive + 64 {
            self.sweep();
        }
        self.last_id += 1;
        let held = room.hold(layout.cost());
        let layout = Arc::new(layout.interned(self.last_id, held));
        self.by_hash.entry(hash).or_default().push(Arc::downgrade(&layout));
        self.inserted += 1;
        layout
    }

    fn sweep(&mut self) {
        self.by_hash.retain(|_, layouts| {
            layouts.retain(|layout| layout.strong_count() > 0);
            !layouts.is_empty()
        });
        self.alive = self.by_hash.values().map(Vec::len).sum();
        self.inserted = self.alive;
    }
}
