//! Prometheus with the same pods as static targets.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::json;

use crate::{INTERVAL, farm};

/// A running Prometheus; ended when dropped, and its files with it.
pub(crate) struct Prometheus {
    child: Child,
    folder: PathBuf,
    /// As it calls itself.
    pub(crate) version: String,
}

impl Prometheus {
    /// Starts it, if it is on the path.
    pub(crate) fn start(pods: usize, port: u16) -> Option<Self> {
        let version = Command::new("prometheus").arg("--version").output().ok()?;
        let version = String::from_utf8_lossy(&[version.stdout, version.stderr].concat()).into_owned();
        let version = version.split_whitespace().nth(2).unwrap_or_default().to_owned();
        let folder = std::env::temp_dir().join(format!("podgauge-peer-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let targets: Vec<String> = (0..pods).map(|n| format!("{}:{port}", farm::address(n))).collect();
        let config = json!({
            "global": {"scrape_interval": format!("{}s", INTERVAL.as_secs()), "scrape_timeout": "10s"},
            "scrape_configs": [{"job_name": "pods", "static_configs": [{"targets": targets}]}],
        });
        // YAML is a superset of JSON.
        fs::write(folder.join("prometheus.yml"), config.to_string()).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { child, folder, version })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
