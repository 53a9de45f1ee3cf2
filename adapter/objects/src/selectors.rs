//! Keeps the selectors of the objects of one resource.

use kube::api::{ApiResource, DynamicObject};
use podgauge_store::{ObjectKind, Objects, Selectors};

use crate::{Sink, selector::selector};

/// Tells [`Objects`] whom the objects of one resource select.
pub(crate) struct SelectorSink {
    name: String,
    objects: Objects,
    /// What the list that is under way has so far.
    listed: Option<Selectors>,
}

// === impl SelectorSink ===

impl SelectorSink {
    pub(crate) fn new(name: String, objects: Objects) -> Self {
        Self { name, objects, listed: None }
    }
}

impl Sink<DynamicObject> for SelectorSink {
    fn begin(&mut self) {
        self.listed = Some(Selectors::new());
    }

    fn put(&mut self, object: DynamicObject) {
        let selector = selector(&object.data);
        match &mut self.listed {
            Some(listed) => {
                let metadata = object.metadata;
                let key =
                    (metadata.namespace.unwrap_or_default().into(), metadata.name.unwrap_or_default().into());
                listed.insert(key, selector);
            }
            None => {
                let (namespace, name) = names(&object);
                self.objects.put(&self.name, namespace, name, selector);
            }
        }
    }

    fn end(&mut self, served: &ApiResource) {
        let kind =
            ObjectKind { kind: served.kind.as_str().into(), api_version: served.api_version.as_str().into() };
        self.objects.replace(&self.name, kind, self.listed.take().unwrap_or_default());
    }

    fn remove(&mut self, object: &DynamicObject) {
        let (namespace, name) = names(object);
        self.objects.remove(&self.name, namespace, name);
    }

    fn unavailable(&mut self, why: &str) {
        self.objects.unavailable(&self.name, why);
    }

    fn absent(&mut self, why: &str) {
        self.objects.unavailable(&self.name, why);
    }
}

fn names(object: &DynamicObject) -> (&str, &str) {
    let metadata = &object.metadata;
    (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}
