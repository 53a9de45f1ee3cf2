//! A running server and everything around it.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, atomic},
    time::{Duration, SystemTime},
};

use podgauge_apiserver::{
    AuthenticationConfig, CertificateSource, Check, Config, Drained, Parts, Probes, Readiness, Server,
};
use prometheus_client::{encoding::text, registry::Registry};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{Brake, Gears, Pedal},
    client::Dial,
    cluster::Cluster,
    pki::{Ca, Identity},
};

/// The authorities of a cluster.
pub(crate) struct Pki {
    pub(crate) serving: Ca,
    pub(crate) front_proxy: Ca,
    pub(crate) clients: Ca,
    pub(crate) foreign: Ca,
}

/// A running server.
pub(crate) struct Running {
    pub(crate) pki: Pki,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) proxy: Identity,
    pub(crate) readiness: Readiness,
    pub(crate) shutdown: CancellationToken,
    pub(crate) ended: JoinHandle<std::io::Result<Drained>>,
    pub(crate) is_ready: Arc<atomic::AtomicBool>,
    pub(crate) brake: Pedal,
    registry: Arc<Mutex<Registry>>,
    dial: Dial,
}

/// Starts a server as a cluster would, after `change`.
pub(crate) async fn start(change: impl FnOnce(&mut Config)) -> Running {
    start_with(change, |_| {}).await
}

/// Starts a server after `change` of its settings and `prepare` of its cluster, once it can tell callers
/// apart, or has failed to learn how.
pub(crate) async fn start_with(change: impl FnOnce(&mut Config), prepare: impl FnOnce(&Cluster)) -> Running {
    let pki = Pki {
        serving: Ca::new("serving"),
        front_proxy: Ca::new("front-proxy"),
        clients: Ca::new("clients"),
        foreign: Ca::new("foreign"),
    };
    let cluster = Cluster::new(authentication(&pki));
    prepare(&cluster);
    let mut config = Config::new(CertificateSource::fixed(pki.serving.server("localhost").pem));
    config.serving.bind_address = [127, 0, 0, 1].into();
    config.serving.secure_port = 0;
    config.serving.file_poll_interval = Duration::from_millis(20);
    config.authentication =
        AuthenticationConfig { lookup_interval: Duration::from_millis(20), ..config.authentication };
    config.version = "1.2.3".to_owned();
    config.title = "gears".to_owned();
    change(&mut config);

    let is_ready = Arc::new(atomic::AtomicBool::new(true));
    let ready = is_ready.clone();
    let registry = Arc::new(Mutex::new(Registry::default()));
    let page = registry.clone();
    let brake = Brake::default();
    let parts = Parts {
        apis: vec![Arc::new(Gears("v1beta1", brake.clone())), Arc::new(Gears("v1", brake.clone()))],
        authentication: Some(cluster.client()),
        authorization: Some(cluster.client()),
        probes: Probes {
            live: Vec::new(),
            ready: vec![Check::new("gears", move || {
                if ready.load(atomic::Ordering::SeqCst) { Ok(()) } else { Err("they stick".to_owned()) }
            })],
        },
        metrics_page: Some(Arc::new(move || encode(&page))),
        clock: Arc::new(now),
    };
    let server = Server::build(config, parts, &mut registry.lock().unwrap()).unwrap();
    let dial = Dial {
        address: server.local_addr(),
        server_ca: pki.serving.pem.clone(),
        identity: None,
        http2: false,
        window: None,
        socket_buffer: None,
        ping_interval: None,
        versions: rustls::ALL_VERSIONS,
    };
    let readiness = server.readiness();
    let shutdown = CancellationToken::new();
    let ended = tokio::spawn(server.run(shutdown.clone()));
    let proxy = pki.front_proxy.client("front-proxy-client", &[]);
    let running = Running {
        pki,
        cluster,
        proxy,
        readiness,
        shutdown,
        ended,
        is_ready,
        brake: Pedal(brake),
        registry,
        dial,
    };
    eventually("a first lookup", || async {
        let being_read = running.readiness.check().is_err_and(|error| error.contains("is being read"));
        !being_read
    })
    .await;
    running
}

/// Waits until the condition holds; fails the test when it does not within five minutes.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let poll = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(300), poll).await.is_ok(), "waited in vain for {what}");
}

/// A file of the test's own.
pub(crate) fn file(name: &str) -> PathBuf {
    let directory =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("apiserver-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory.join(name)
}

/// What kube-apiserver writes.
pub(crate) fn authentication(pki: &Pki) -> BTreeMap<String, String> {
    [
        ("client-ca-file", pki.clients.pem.as_str()),
        ("requestheader-client-ca-file", &pki.front_proxy.pem),
        ("requestheader-allowed-names", r#"["front-proxy-client"]"#),
        ("requestheader-username-headers", r#"["X-Remote-User"]"#),
        ("requestheader-uid-headers", r#"["X-Remote-Uid"]"#),
        ("requestheader-group-headers", r#"["X-Remote-Group"]"#),
        ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-"]"#),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

#[expect(clippy::disallowed_methods, reason = "the tests' one wall clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn encode(registry: &Mutex<Registry>) -> String {
    let mut page = String::new();
    text::encode(&mut page, &registry.lock().unwrap()).unwrap();
    page
}

// === impl Running ===

impl Running {
    /// A caller without a certificate.
    pub(crate) fn nobody(&self) -> Dial {
        self.dial.clone()
    }

    /// The front proxy.
    pub(crate) fn front_proxy(&self) -> Dial {
        self.nobody().with(&self.proxy)
    }

    pub(crate) fn metrics(&self) -> String {
        encode(&self.registry)
    }

    /// The value of a series, by its whole text before the blank; 0 when there is none.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let page = self.metrics();
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    pub(crate) async fn stop(self) -> Drained {
        self.shutdown.cancel();
        self.ended.await.unwrap().unwrap()
    }
}
