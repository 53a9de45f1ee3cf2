//! Distance between requests to the API server: a watch that ends at once would be begun anew at once.

use std::{sync::Arc, time::Duration};

use kube::Client;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

/// The least time between two requests to the API server.
pub(crate) const PACE: Duration = Duration::from_millis(100);
/// A client that keeps its distance between two requests.
pub(crate) fn paced(client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let earliest = Arc::new(Mutex::new(Instant::now()));
    let service = tower::service_fn(move |request| {
        let (client, earliest) = (client.clone(), Arc::clone(&earliest));
        async move {
            let mut earliest = earliest.lock().await;
            sleep_until(*earliest).await;
            *earliest = Instant::now() + PACE;
            drop(earliest);
            client.send(request).await
        }
    });
    Client::new(service, namespace)
}
