//! Keeping current whom to believe: files given as flags, and the cluster's ConfigMap for the rest.
//!
//! The two halves, front proxies and clients, are independent. What no longer loads, or is gone, keeps
//! its last good state; it is logged and counted.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{sync::watch, time};

use super::{
    cluster::{self, LookupError},
    trust::{CaBundle, HeaderLists, RequestHeader, Trust, TrustError},
};
use crate::{config::AuthenticationConfig, files, metrics::Metrics};

/// Loads [`Trust`] again and again.
pub(crate) struct Loader {
    config: AuthenticationConfig,
    /// `None` when nothing needs looking up.
    client: Option<kube::Client>,
    file_poll_interval: Duration,
    from_files: Trust,
    from_cluster: Trust,
    published: Arc<ArcSwap<Trust>>,
    progress: watch::Sender<Progress>,
    metrics: Metrics,
}

/// How far the first lookup in the cluster has come.
#[derive(Clone, Debug)]
enum Progress {
    Pending,
    Loaded,
    Failed(String),
}

/// Whether the authentication configuration is loaded; clones see the same.
#[derive(Clone, Debug)]
pub struct Readiness {
    progress: watch::Receiver<Progress>,
    tolerate_failure: bool,
}

// === impl Loader ===

impl Loader {
    /// Loads the files; the cluster is asked later.
    ///
    /// # Errors
    /// When a file that a flag names does not load.
    pub(crate) fn new(
        config: AuthenticationConfig,
        client: Option<kube::Client>,
        file_poll_interval: Duration,
        metrics: Metrics,
    ) -> Result<Self, TrustError> {
        let from_files = read_files(&config)?;
        let is_complete = from_files.client_ca.is_some() && from_files.request_header.is_some();
        let client = client.filter(|_| !config.skip_lookup && !is_complete);
        let progress = if client.is_some() { Progress::Pending } else { Progress::Loaded };
        metrics.authentication_loaded.set(i64::from(client.is_none()));
        Ok(Self {
            client,
            file_poll_interval,
            published: Arc::new(ArcSwap::from_pointee(from_files.clone())),
            from_files,
            from_cluster: Trust::default(),
            progress: watch::Sender::new(progress),
            metrics,
            config,
        })
    }

    /// Where the newest [`Trust`] is found.
    pub(crate) fn trust(&self) -> Arc<ArcSwap<Trust>> {
        self.published.clone()
    }

    pub(crate) fn readiness(&self) -> Readiness {
        Readiness {
            progress: self.progress.subscribe(),
            tolerate_failure: self.config.tolerate_lookup_failure,
        }
    }

    /// Looks at the files and at the cluster, each in its rhythm, for ever.
    pub(crate) async fn run(mut self) {
        let mut files = time::interval(self.file_poll_interval);
        let mut cluster = time::interval(self.config.lookup_interval);
        files.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        cluster.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        let has_files = self.config.client_ca_file.is_some() || self.config.request_header.is_some();
        loop {
            tokio::select! {
                _ = files.tick(), if has_files => self.refresh_files().await,
                _ = cluster.tick(), if self.client.is_some() => {
                    if let Err(error) = self.refresh_cluster().await {
                        tracing::warn!(%error, "authentication configuration not loaded; the last good one stays");
                    }
                }
                else => return,
            }
        }
    }

    /// Asks the cluster once.
    pub(crate) async fn refresh_cluster(&mut self) -> Result<(), LookupError> {
        let Some(client) = &self.client else { return Ok(()) };
        match cluster::read(client, self.config.lookup_timeout).await {
            Ok(found) => {
                // A CA that is gone from the ConfigMap keeps its last good state, as upstream.
                let next = Trust {
                    request_header: found.request_header.or_else(|| self.from_cluster.request_header.clone()),
                    client_ca: found.client_ca.or_else(|| self.from_cluster.client_ca.clone()),
                };
                let changed = next != self.from_cluster;
                self.from_cluster = next;
                self.publish(changed);
                self.metrics.authentication_loaded.set(1);
                self.progress.send_replace(Progress::Loaded);
                Ok(())
            }
            Err(error) => {
                self.metrics.reload("authentication", false);
                self.progress.send_if_modified(|progress| {
                    let never_loaded = !matches!(progress, Progress::Loaded);
                    if never_loaded {
                        *progress = Progress::Failed(error.to_string());
                    }
                    never_loaded
                });
                Err(error)
            }
        }
    }

    async fn refresh_files(&mut self) {
        let config = self.config.clone();
        let read = tokio::task::spawn_blocking(move || read_files(&config));
        // The read neither panics nor is it cancelled.
        let Ok(read) = read.await else { return };
        match read {
            Ok(next) => {
                let changed = next != self.from_files;
                self.from_files = next;
                self.publish(changed);
            }
            Err(error) => {
                self.metrics.reload("authentication", false);
                tracing::warn!(%error, "CA files not reloaded; the last good ones stay");
            }
        }
    }

    /// Publishes only what changed: connections keep what they verified as long as it stands.
    fn publish(&self, changed: bool) {
        if !changed {
            return;
        }
        let trust = Trust {
            request_header: self
                .from_files
                .request_header
                .clone()
                .or_else(|| self.from_cluster.request_header.clone()),
            client_ca: self.from_files.client_ca.clone().or_else(|| self.from_cluster.client_ca.clone()),
        };
        tracing::info!(
            front_proxy = trust.request_header.is_some(),
            clients = trust.client_ca.is_some(),
            "authentication configuration loaded"
        );
        self.published.store(Arc::new(trust));
        self.metrics.reload("authentication", true);
    }
}

// === impl Readiness ===

impl Readiness {
    /// `Ok` once callers can be told apart.
    ///
    /// # Errors
    /// Why not yet; the text says what to do.
    pub fn check(&self) -> Result<(), String> {
        match &*self.progress.borrow() {
            Progress::Loaded => Ok(()),
            Progress::Failed(_) if self.tolerate_failure => Ok(()),
            Progress::Failed(reason) => Err(reason.clone()),
            Progress::Pending => Err("the cluster's authentication configuration is being read".to_owned()),
        }
    }
}

fn read_files(config: &AuthenticationConfig) -> Result<Trust, TrustError> {
    let bundle = |flag: &'static str, path: &std::path::PathBuf| {
        let pem =
            files::read(path).map_err(|source| TrustError::Read { flag, path: path.clone(), source })?;
        CaBundle::from_pem(&format!("{flag} {}", path.display()), &pem)
    };
    let request_header = match &config.request_header {
        None => None,
        Some(flags) => {
            let lists = HeaderLists {
                allowed_names: &flags.allowed_names,
                username_headers: &flags.username_headers,
                uid_headers: &flags.uid_headers,
                group_headers: &flags.group_headers,
                extra_headers_prefix: &flags.extra_headers_prefix,
            };
            let ca = bundle("--requestheader-client-ca-file", &flags.client_ca_file)?;
            Some(Arc::new(RequestHeader::new(ca, &lists)?))
        }
    };
    Ok(Trust {
        request_header,
        client_ca: config
            .client_ca_file
            .as_ref()
            .map(|path| bundle("--client-ca-file", path))
            .transpose()?
            .map(Arc::new),
    })
}
