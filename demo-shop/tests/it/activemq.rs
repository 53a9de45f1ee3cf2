//! The suite against a real ActiveMQ: Debian's, started from a directory of its own on a free port, without root.
//!
//! Needs the packages `activemq`, `libxstream-java`, `libjettison-java` and `libxpp3-java`. Without them these tests say
//! so and pass, unless `PODGAUGE_REQUIRE_ACTIVEMQ=1`, which CI sets.

use crate::suite::{self, Scene};
use crate::wait::{PATIENCE, until};
use demo_shop::depth::Reading;
use demo_shop::health::Health;
use demo_shop::orders::SubmitError;
use demo_shop::stomp::{BrokerUrl, url::Credentials};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::num::NonZeroU32;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const HOME: &str = "/usr/share/activemq";
const JAR: &str = "/usr/share/activemq/bin/activemq.jar";

/// The statistics plugin writes its JSON with these. Debian does not put them on the broker's class path.
const LIBRARIES: [&str; 3] =
    ["/usr/share/java/xstream.jar", "/usr/share/java/jettison.jar", "/usr/share/java/xpp3.jar"];

/// Who may use a broker that asks.
const USER: &str = "shop";
const PASSWORD: &str = "6b1f0f5ad3f24a0c";

/// How much of the statistics plugin a broker has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Statistics {
    /// All: it answers.
    Whole,
    /// The plugin without its libraries: it drops the connection.
    Broken,
    /// No plugin: it takes a question for a message.
    Missing,
}

/// A running broker. It is killed, and its directory removed, when this is dropped.
pub(crate) struct ActiveMq {
    directory: PathBuf,
    broker: Child,
    port: u16,
}

// === impl ActiveMq ===

impl ActiveMq {
    /// None when ActiveMQ is not installed and need not be.
    pub(crate) fn start(statistics: Statistics) -> Option<Self> {
        let plugins = match statistics {
            Statistics::Missing => "",
            Statistics::Whole | Statistics::Broken => "<plugins><statisticsBrokerPlugin/></plugins>",
        };
        Self::configured(&include_str!("activemq.xml").replace("<!-- PLUGINS -->", plugins), statistics)
    }

    /// As [`start`](Self::start), with a configuration of its own. The environment has the user that [`USER`] names.
    fn configured(configuration: &str, statistics: Statistics) -> Option<Self> {
        let mut needed = [JAR].into_iter().chain(LIBRARIES);
        let missing = needed.find(|path| !Path::new(path).exists());
        if let Some(path) = missing {
            let required = std::env::var("PODGAUGE_REQUIRE_ACTIVEMQ").is_ok_and(|value| value == "1");
            assert!(!required, "{path} is missing and PODGAUGE_REQUIRE_ACTIVEMQ=1");
            // Past the test harness, which shows what a test prints only when it fails.
            let install = "apt-get install activemq libxstream-java libjettison-java libxpp3-java";
            let skipped = format!("SKIPPED: {path} is missing ({install})\n");
            io::stderr().write_all(skipped.as_bytes()).unwrap();
            return None;
        }
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("activemq-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        for part in ["conf", "data", "tmp", "lib"] {
            fs::create_dir_all(directory.join(part)).unwrap();
        }
        fs::write(directory.join("conf/activemq.xml"), configuration).unwrap();
        fs::write(directory.join("conf/log4j.properties"), include_str!("log4j.properties")).unwrap();
        if statistics == Statistics::Whole {
            for library in LIBRARIES.map(Path::new) {
                symlink(library, directory.join("lib").join(library.file_name().unwrap())).unwrap();
            }
        }
        let (broker, port) = launch(&directory, 0);
        Some(Self { directory, broker, port })
    }

    pub(crate) fn url(&self) -> BrokerUrl {
        BrokerUrl { host: "127.0.0.1".into(), port: self.port, credentials: None }
    }

    /// As `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.broker.kill().unwrap();
        self.broker.wait().unwrap();
    }

    /// Starts again what was killed, on the same port and data.
    pub(crate) fn restart(&mut self) {
        (self.broker, self.port) = launch(&self.directory, self.port);
    }
}

impl Drop for ActiveMq {
    fn drop(&mut self) {
        // It may be dead already, and what cannot be removed is in the build's directory for temporary files.
        let _ = self.broker.kill();
        let _ = self.broker.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Starts a broker; its process and the port that its log names. Port 0 is any free one.
fn launch(directory: &Path, port: u16) -> (Child, u16) {
    let at = |part: &str| directory.join(part).display().to_string();
    let mut broker = Command::new("java")
        .args(["-Xms32M", "-Xmx256M", "-XX:+UseSerialGC", "-Djava.awt.headless=true"])
        .arg(format!("-Djava.io.tmpdir={}", at("tmp")))
        .arg(format!("-Dactivemq.home={HOME}"))
        .arg(format!("-Dactivemq.base={}", directory.display()))
        .arg(format!("-Dactivemq.conf={}", at("conf")))
        .arg(format!("-Dactivemq.data={}", at("data")))
        .arg(format!("-Dactivemq.classpath={};{}", at("conf"), at("lib/*")))
        .arg(format!("-Dshop.port={port}"))
        .arg(format!("-Dstomp.address=127.0.0.1:{port}"))
        .envs([("BROKER_USERNAME", USER), ("BROKER_PASSWORD", PASSWORD)])
        .args(["-jar", JAR, "start"])
        .arg(format!("xbean:file:{}", at("conf/activemq.xml")))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("java is installed");
    let lines = BufReader::new(broker.stdout.take().expect("it is piped")).lines();
    let (found, port) = mpsc::channel();
    // Reads to the end, because a broker that cannot write its log stops.
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some((_, port)) = line.split_once("Listening for connections at: stomp+nio://localhost:") {
                let port = port.trim().split('?').next().unwrap_or_default();
                found.send(port.parse::<u16>().expect("a port")).expect("somebody waits");
            }
            if line.contains("ERROR") {
                eprintln!("{line}");
            }
        }
    });
    match port.recv_timeout(PATIENCE) {
        Ok(port) => (broker, port),
        Err(error) => {
            broker.kill().unwrap();
            broker.wait().unwrap();
            panic!("ActiveMQ does not listen: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn activemq_passes_the_suite() {
    let Some(broker) = ActiveMq::start(Statistics::Whole) else { return };
    suite::run(&broker.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifests_broker_passes_the_suite_and_its_own_probe() {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("activemq/config");
    let configuration = fs::read_to_string(manifests.join("activemq.xml")).unwrap();
    let Some(broker) = ActiveMq::configured(&configuration, Statistics::Whole) else { return };
    let known = Credentials { user: USER.into(), password: PASSWORD.into() };
    suite::run(&BrokerUrl { credentials: Some(known), ..broker.url() }).await;

    let probe = |password: &str| {
        Command::new("bash")
            .arg(manifests.join("stomp-probe"))
            .arg(broker.port.to_string())
            .envs([("BROKER_USERNAME", USER), ("BROKER_PASSWORD", password)])
            .output()
            .unwrap()
    };
    let (right, wrong) = (probe(PASSWORD), probe("guess"));
    assert!(right.status.success(), "{right:?}");
    assert!(!wrong.status.success());
    // ActiveMQ refuses and closes at once; now and then the close overtakes what it said.
    let said = String::from_utf8_lossy(&wrong.stdout);
    let answers = ["ERROR", "nothing"].map(|answer| format!("the broker answers '{answer}' to CONNECT"));
    assert!(answers.iter().any(|answer| answer == said.trim()), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_statistics_the_queue_is_browsed() {
    for statistics in [Statistics::Broken, Statistics::Missing] {
        let Some(broker) = ActiveMq::start(statistics) else { return };
        let scene = Scene::new(&broker.url(), "browsed");
        scene.order(700).await;
        let (depth, _guard) = scene.depth(|config| config.statistics_timeout = Duration::from_secs(1));
        for _ in 0..3 {
            let expected = Some(Reading { messages: 700, capped: false, details: None });
            assert_eq!(depth.read().await, expected, "{statistics:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_was_killed_comes_back_with_every_confirmed_order() {
    let Some(mut broker) = ActiveMq::start(Statistics::Whole) else { return };
    let scene = Scene::new(&broker.url(), "killed");
    let health = Health::default();
    let (orders, _store) = scene.store(&health);
    let (depth, _depth) = scene.depth(|_| {});
    let ready = async || health.complaints().is_empty().then_some(());
    until("a connected store", ready).await;
    let three = NonZeroU32::new(3).unwrap();
    orders.submit(three).await.unwrap();

    broker.kill();
    until("a store that is not ready", async || (!health.complaints().is_empty()).then_some(())).await;
    assert!(matches!(orders.submit(three).await, Err(SubmitError::Unavailable(_))));
    assert_eq!(depth.read().await, None, "unknown, not 0");

    broker.restart();
    until("a store that is connected again", ready).await;
    orders.submit(three).await.unwrap();
    let messages = until("a known depth", async || depth.read().await).await.messages;
    assert_eq!(messages, 6);
}
