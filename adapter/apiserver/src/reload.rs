//! Serving with the newest certificate that loads.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::time::{self, MissedTickBehavior};

use crate::{
    certificate::{CertificateSource, PemPair},
    metrics::Metrics,
    tls::Tls,
};

/// Looks for a new pair for ever: in files every `poll_interval`, in memory when it is sent.
///
/// A pair that does not load is reported once, and the one in use stays.
pub(crate) async fn certificate(
    source: CertificateSource,
    poll_interval: Duration,
    mut in_use: Option<PemPair>,
    tls: Arc<Tls>,
    metrics: Metrics,
) {
    let mut ticks = time::interval(poll_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut refused = None;
    loop {
        match &source {
            CertificateSource::Files { .. } => {
                ticks.tick().await;
            }
            CertificateSource::Memory(pair) => {
                let is_news = |pair: &Option<PemPair>| pair.is_some() && *pair != in_use && *pair != refused;
                if pair.clone().wait_for(is_news).await.is_err() {
                    // Its owner is gone: what there is stays for good.
                    return pending().await;
                }
            }
        }
        let from = source.clone();
        // Reading neither panics nor is it cancelled.
        let Ok(read) = tokio::task::spawn_blocking(move || from.read()).await else { return };
        let outcome = match read {
            Ok(None) => continue,
            Ok(pair) if pair == in_use || pair == refused => continue,
            Ok(Some(pair)) => match tls.replace(&pair) {
                Ok(not_after) => {
                    metrics.certificate_until(not_after);
                    (in_use, refused) = (Some(pair), None);
                    Ok(())
                }
                Err(error) => {
                    refused = Some(pair);
                    Err(error)
                }
            },
            Err(error) => Err(error),
        };
        metrics.reload("certificate", outcome.is_ok());
        match outcome {
            Ok(()) => tracing::info!("serving certificate reloaded"),
            Err(error) => {
                tracing::warn!(%error, "serving certificate not reloaded; the last good one stays");
            }
        }
    }
}
