//! The namespace controller: gives every namespace its default service account and empties those that are deleted.

use super::Core;
use super::registry::Part;
use super::resources::known;
use serde_json::json;
use std::sync::Arc;

/// Runs until the sandbox stops.
pub(crate) async fn control(core: Arc<Core>) {
    let mut changes = core.registry.store.changes();
    loop {
        changes.mark_unchanged();
        let mut terminating = Vec::new();
        for (key, namespace) in core.registry.store.list(known("", "namespaces")).objects {
            if namespace["metadata"]["deletionTimestamp"].is_null() {
                let account = json!({"metadata": {"name": "default"}});
                // It is there already, nearly always.
                let _ = core.registry.create(
                    known("", "serviceaccounts"),
                    &key.name,
                    account,
                    Part::Whole,
                    false,
                );
            } else {
                terminating.push(key.name);
            }
        }
        if !terminating.is_empty() {
            // What a client sent together with the deletion is to find its objects still there.
            tokio::select! {
                () = tokio::time::sleep(core.config.namespace_deletion_delay) => {}
                () = core.stop.cancelled() => return,
            }
            for namespace in &terminating {
                core.registry.finish_namespace(namespace);
            }
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = core.stop.cancelled() => return,
        }
    }
}
